"""The trainer, and all that keeps a run alive."""
