"""Trains, fits and evaluates a list of models: `cctuning study`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("study")
