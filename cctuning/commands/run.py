"""End of a command: with its result, or with one clear line in place of a traceback."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cctuning.distributed.rank import process_number
from cctuning.tools.errors import is_out_of_memory, message_of, printable
from cctuning.tools.signals import ending_signals

# What a user's input can cause. Anything else is a defect of ours, and its traceback is wanted.
_EXPECTED = (ValueError, OSError, FloatingPointError)
_SMALLER = (
    "What takes less memory, in the usual order of effect: lora.enabled=true, more devices with FSDP2 or "
    "ZeRO (accelerate launch), dtype=bfloat16, gradient_checkpointing=true, a smaller "
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


def run(work: Callable[[], object], *, stopped: str = "stopped", failed: int = 1) -> None:
    """Runs a command's work. An expected error is printed as `error: ...` and ends with status `failed`.

    Ctrl-C prints `stopped` and ends with 130, `Stopped` prints its message and ends with 128 + signal.
    With CCTUNING_DEBUG=1 in the environment, errors keep their traceback.
    """
    try:
        with _ended_by_signals(stopped):
            work()
    except KeyboardInterrupt:
        _print(f"\n{stopped}")
        raise SystemExit(130) from None
    except Stopped as error:
        if process_number() == 0:
            _print(f"\n{error}")
        raise SystemExit(128 + error.signal_number) from None  # as a shell reports a signal
    except Exception as error:
        message = _explained(error, stopped)
        if message is None or os.environ.get("CCTUNING_DEBUG") == "1":
            raise
        _say(message)
        raise SystemExit(failed) from None


def _explained(error: Exception, stopped: str) -> str | None:
    """The message for an error that a user's input or machine can cause; None for a defect of ours."""
    if is_out_of_memory(error):
        return f"out of memory: {message_of(error) or type(error).__name__}\n{_SMALLER}"
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _LOST):
        return f"another process of this run has ended; what it printed says why\n{stopped}"
    # Libraries ask for a package by an ImportError of their own; that of an import statement has a name.
    if isinstance(error, ImportError):
        return None if error.name is not None else message_of(error)
    return message_of(error) if isinstance(error, _EXPECTED) else None


def quiet_libraries() -> None:
    """Turns off what libraries that have been imported print, and is no concern of a user's."""
    if transformers := sys.modules.get("transformers"):
        # Reading and writing local files needs no bars; training has one of its own.
        transformers.utils.logging.disable_progress_bar()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What a library will rename is our business, not the user's.
    renamed = r"(transformers|peft|trl|torch\.distributed)\."
    warnings.filterwarnings("ignore", category=FutureWarning, module=renamed)
    # The Trainer counts passes itself, so accelerate gets another number than DeepSpeed.
    logging.getLogger("accelerate.accelerator").addFilter(
        lambda record: "accumulation steps mismatch" not in record.getMessage()
    )


def quiet_imports() -> None:
    """Turns off what libraries log while they are imported unasked, and is no concern of a user's."""
    for name in ("DeepSpeed", "bitsandbytes.backends.cpu.ops"):
        logging.getLogger(name).addFilter(_is_wanted)


def _is_wanted(record: logging.LogRecord) -> bool:
    # accelerate imports DeepSpeed where it is installed, and that looks for a GPU.
    if record.funcName == "get_accelerator":
        return os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true"
    # peft imports bitsandbytes, and that looks for a faster kernel for CPUs; without it, its own do the work.
    return "gemm_4bit_forward" not in record.getMessage()


def _say(error: str) -> None:
    """Prints an error. Processes mostly fail alike: all but the first print one line of it."""
    number = process_number()
    _print(f"error: {error}" if number == 0 else f"error in process {number}: {error.splitlines()[0]}")


def _print(text: str) -> None:
    """Prints to standard error, on a line of its own where a bar is being drawn."""
    text, tqdm = printable(text), sys.modules.get("tqdm")
    if tqdm is None:
        sys.stderr.write(f"{text}\n")
    else:
        tqdm.tqdm.write(text, file=sys.stderr)


@contextmanager
def _ended_by_signals(stopped: str) -> Iterator[None]:
    """SIGTERM and SIGHUP end what runs inside like Ctrl-C does, rather than the process without a word."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Stopped(number, stopped)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
