"""Evaluates a model on benchmarks: `cctuning evaluate`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("evaluate")
