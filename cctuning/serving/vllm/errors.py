"""Refusals of the plug-in."""


class UnservableError(ValueError):
    """A model, a setting or a version of vLLM that a connected model cannot be served with."""
