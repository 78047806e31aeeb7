"""One module per pane: each a pure function from a view to a picture."""
