"""One compiled recurrence per indicator: batch is the loop over it, streaming is one step of it."""
