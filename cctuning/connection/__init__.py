"""The method: the cross-lingual connection in a language model."""
