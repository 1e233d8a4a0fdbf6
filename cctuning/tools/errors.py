"""Errors as a user reads them."""

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 4000  # characters of a message
# What ends a write: a full disk or quota, a limit of a file's size, a broken disk.
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# C0 and C1 controls but for tab and line feed, and the signs that turn the direction of a text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` with control characters as their escapes, such as backslash, x, 1b."""
    return _CONTROLS.sub(lambda sign: sign[0].encode("unicode_escape").decode("ascii"), text)


def shortened(text: str) -> str:
    """`text`, cut in its middle where it is longer than anybody would read: values may have megabytes."""
    if len(text) <= _LONGEST:
        return text
    start, end = text[: _LONGEST * 3 // 4], text[-_LONGEST // 4 :]
    return f"{start} [... {len(text) - len(start) - len(end):,} characters ...] {end}"


def write_error(message: str) -> None:
    """Writes `error: ...` to standard error, as it can be shown."""
    sys.stderr.write(f"error: {printable(shortened(message))}\n")


def message_of(error: BaseException) -> str:
    """An error's message; of one of the system's, which file it is about, and what is wrong with it."""
    if not (isinstance(error, OSError) and error.strerror):
        return printable(shortened(str(error)))
    file = error.filename2 or error.filename
    place = Path(file) if isinstance(file, str | Path) else None
    message = error.strerror if place is None else f"{place}: {error.strerror}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = "" if place is None else f"{_free(place)} are free there: "
        message += f" ({free}make room, and give the same command again)"
    return printable(shortened(message))


def _free(place: Path) -> str:
    """Free space where `place` is, or would be."""
    folders = place.absolute().parents
    nearest = next((folder for folder in folders if folder.is_dir()), Path("/"))
    return f"{shutil.disk_usage(nearest).free / 2**20:,.0f} MiB"


@contextmanager
def naming_written(path: str | Path) -> Iterator[None]:
    """Names `path` in the `OSError` of a write that fails in the block: the system's names no file.

    safetensors has an error of its own for it, which becomes an `OSError` too.
    """
    try:
        yield
    except Exception as error:
        number = _number_of(error)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _number_of(error: Exception) -> int | None:
    """The system's number for a failed write that names no file; None for other errors."""
    if isinstance(error, OSError):
        return error.errno if error.filename is None and error.errno in _OF_WRITING else None
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found and type(error).__name__ == "SafetensorError" else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, the machine's or a GPU's, did not suffice: each library has its own way to say so."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    signs = ("DefaultCPUAllocator", "can't allocate memory", "Cannot allocate memory", "std::bad_alloc")
    return isinstance(error, RuntimeError | OSError) and any(sign in str(error) for sign in signs)
