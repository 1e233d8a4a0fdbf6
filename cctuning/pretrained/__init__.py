"""Other people's models: loaded, checked, named."""
