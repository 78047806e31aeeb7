"""Settings in layers, their validation and reload, paths, themes."""
