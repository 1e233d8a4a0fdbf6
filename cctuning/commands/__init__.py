"""One module per command: a recipe in, files out."""
