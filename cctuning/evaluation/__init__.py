"""Benchmarks: items, scores, the runner, and comparisons of what came out."""
