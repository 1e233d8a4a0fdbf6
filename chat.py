"""Asks a model questions: `cctuning chat`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("chat")
