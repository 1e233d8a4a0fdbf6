"""Fits the Transform Matrix of a run and exports the monolingual model: `cctuning fit`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("fit")
