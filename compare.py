"""Compares evaluations on the same questions: `cctuning compare`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("compare")
