"""From rows in files to batches of token ids."""
