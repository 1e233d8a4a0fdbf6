"""How an entry script ends: with its result, or with one clear line in place of a traceback."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from tqdm.auto import tqdm
from transformers.utils import logging as transformers_logging

from cctuning.distributed.engines import process_number
from cctuning.tools.files import told

# What a user's input can cause. Anything else is a defect of ours, and its traceback is wanted.
_EXPECTED = (ValueError, OSError, FloatingPointError)
_SMALLER = (
    "What takes less memory, in the usual order of effect: lora.enabled=true, more devices with "
    "recipes/accelerate/fsdp2.yaml, dtype=bfloat16, gradient_checkpointing=true, a smaller "
    "per_device_train_batch_size or batch_size, a smaller cutoff_len. "
    "dry_run=true shows what each of them would save"
)
# How gloo and NCCL report, as RuntimeErrors, that another process is gone.
_LOST = ("Connection closed by peer", "Connection reset by peer", "remote process exit")


class Stopped(BaseException):
    """A signal has ended the work in good order; the message says how to go on.

    No `Exception`: raised by a signal's handler while a library loads files, it must not be caught there.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def run(main: Callable[[], None], *, stopped: str = "stopped") -> None:
    """Runs an entry script. An expected error is printed as `error: ...` with status 1.

    Ctrl-C prints `stopped` and ends with 130, `Stopped` prints its message and ends with 128 + signal.
    With CCTUNING_DEBUG=1 in the environment, errors keep their traceback.
    """
    # Reading and writing local files needs no bars; training has one of its own.
    transformers_logging.disable_progress_bar()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What a library will rename is our business, not the user's.
    renamed = r"(transformers|peft|trl|torch\.distributed)\."
    warnings.filterwarnings("ignore", category=FutureWarning, module=renamed)
    # The Trainer counts passes itself, so accelerate is told another number than DeepSpeed.
    logging.getLogger("accelerate.accelerator").addFilter(
        lambda record: "accumulation steps mismatch" not in record.getMessage()
    )
    try:
        with _ended_by_sigterm(stopped):
            main()
    except KeyboardInterrupt:
        tqdm.write(f"\n{stopped}", file=sys.stderr)
        raise SystemExit(130) from None
    except Stopped as error:
        if process_number() == 0:
            tqdm.write(f"\n{error}", file=sys.stderr)
        raise SystemExit(128 + error.signal_number) from None  # as a shell reports a signal
    except torch.OutOfMemoryError as error:
        _say(f"{error}\n{_SMALLER}")
        raise SystemExit(1) from None
    except RuntimeError as error:
        lost = any(text in str(error) for text in _LOST)
        if not lost or os.environ.get("CCTUNING_DEBUG") == "1":
            raise
        _say(f"another process of this run has ended; what it printed says why\n{stopped}")
        raise SystemExit(1) from None
    except (*_EXPECTED, ImportError) as error:
        # Libraries ask for a package by an ImportError of their own; that of an import statement has a name.
        defect = isinstance(error, ImportError) and error.name is not None
        if defect or os.environ.get("CCTUNING_DEBUG") == "1":
            raise
        _say(told(error))
        raise SystemExit(1) from None


def _say(error: str) -> None:
    """Prints an error, on a line of its own where a bar is being drawn.

    Processes mostly fail alike: the first one says all of it, the others their first line.
    """
    number = process_number()
    text = f"error: {error}" if number == 0 else f"error in process {number}: {error.splitlines()[0]}"
    tqdm.write(text, file=sys.stderr)


@contextmanager
def _ended_by_sigterm(stopped: str) -> Iterator[None]:
    """SIGTERM ends what runs inside like Ctrl-C does, rather than the process without a word."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Stopped(number, stopped)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
