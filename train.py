"""Fine-tunes a model: `cctuning train`."""

from cctuning.__main__ import main

if __name__ == "__main__":
    main("train")
