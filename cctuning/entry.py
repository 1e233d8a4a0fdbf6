"""How an entry script ends: with its result, or with one clear line in place of a traceback."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable

import torch
from tqdm.auto import tqdm
from transformers.utils import logging as transformers_logging

# What a user's input can cause. Anything else is a defect of ours, and its traceback is wanted.
_EXPECTED = (ValueError, OSError, FloatingPointError)
_SMALLER = (
    "What takes less memory: a smaller per_device_train_batch_size or batch_size, "
    "gradient_checkpointing=true, a smaller cutoff_len, lora.enabled=true, dtype=bfloat16"
)


def run(main: Callable[[], None], *, stopped: str = "stopped") -> None:
    """Runs an entry script. An expected error is printed as `error: ...` with status 1.

    Ctrl-C prints `stopped` and ends with 130.
    With CCTUNING_DEBUG=1 in the environment, errors keep their traceback.
    """
    # Reading and writing local files needs no bars; training has one of its own.
    transformers_logging.disable_progress_bar()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What a library will rename is our business, not the user's.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\.")
    try:
        main()
    except KeyboardInterrupt:
        tqdm.write(f"\n{stopped}", file=sys.stderr)
        raise SystemExit(130) from None
    except torch.OutOfMemoryError as error:
        tqdm.write(f"error: {error}\n{_SMALLER}", file=sys.stderr)
        raise SystemExit(1) from None
    except (*_EXPECTED, ImportError) as error:
        # Libraries ask for a package by an ImportError of their own; that of an import statement has a name.
        defect = isinstance(error, ImportError) and error.name is not None
        if defect or os.environ.get("CCTUNING_DEBUG") == "1":
            raise
        tqdm.write(f"error: {error}", file=sys.stderr)  # on a line of its own, where a bar is being drawn
        raise SystemExit(1) from None
