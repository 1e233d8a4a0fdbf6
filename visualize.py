"""Draws representations, chosen layers and losses: `cctuning visualize`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("visualize")
