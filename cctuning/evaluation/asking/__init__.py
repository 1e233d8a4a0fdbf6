"""Asking a model the questions of benchmarks, and storing its responses."""
