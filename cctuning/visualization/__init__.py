"""Effects of CC-Tuning on a model: representations of parallel sentences, chosen layers, losses of runs."""
