"""Probes a model with XTransplant: `cctuning probe`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("probe")
