"""What CC-Tuning does to a model: representations of parallel sentences, chosen layers, losses of runs."""
