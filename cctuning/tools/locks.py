"""One run to a folder at a time: a scheduler may start a run again while the first one still saves.

The same for a file that is added to.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from cctuning.tools.errors import naming_written

LOCK_FILE = ".lock"


class LockedError(ValueError):
    """Another process works in the folder, or with the file."""


@contextmanager
def only_run_in(folder: str | Path) -> Iterator[None]:
    """Holds `folder` until the block or the process ends, however it ends.

    A missing one is made, with those it lies in, and taken away again where nothing was written there. Raises
    `LockedError` where another process, which it names by its number, holds it, and `OSError` where it
    cannot be written.
    """
    folder = Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    busy = f"works in {folder}: wait until it ends, or set another output_dir"
    with _only_holder(folder / LOCK_FILE, f"output_dir={folder} cannot be written", busy):
        try:
            with naming_written(folder):
                yield
        finally:
            # Before it is released: a process that comes now makes a new one.
            (folder / LOCK_FILE).unlink(missing_ok=True)
            with suppress(OSError):  # one that something came of is not empty
                for path in made:
                    path.rmdir()


@contextmanager
def only_user_of(file: str | Path) -> Iterator[None]:
    """As `only_run_in`, for one file: the lock lies beside it. Its folder is made where it is missing."""
    file = Path(file)
    lock = file.with_name(f".{file.name}{LOCK_FILE}")
    busy = f"uses {file}: wait until it ends, or name another file"
    with _only_holder(lock, f"{file} cannot be written", busy):
        try:
            with naming_written(file):
                yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def held_alone(file: Path) -> Iterator[None]:
    """Makes the file, and holds it until the block or the process ends: `is_held` tells others.

    Raises `OSError`.
    """
    opened = None
    while opened is None:
        with suppress(LockedError):  # another process looks, for a moment, whether somebody holds it
            opened = _opened(file, str(file), f"writes {file}")
    with opened:
        yield


def is_held(file: Path) -> bool:
    """Whether a process holds the file, or may: not every file system can tell. Raises `OSError`."""
    with file.open("rb") as opened:
        return _lock(opened.fileno()) is not True


@contextmanager
def _only_holder(lock: Path, unwritable: str, busy: str) -> Iterator[None]:
    with _opened(lock, unwritable, busy) as file:
        with suppress(OSError):  # a full disk
            file.truncate(0)  # a killed process has left its number
            file.write(str(os.getpid()))
            file.flush()
        yield


def _opened(lock: Path, unwritable: str, busy: str) -> IO[str]:
    """The lock's file, held by this process."""
    file = None
    while file is None:  # again, where another process ends, and takes its file away, in this moment
        file = _held(lock, unwritable, busy)
    return file


def _held(lock: Path, unwritable: str, busy: str) -> IO[str] | None:
    """The lock's file, open and locked; None where it is no longer the one that others would find."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file, or a link that leads nowhere
        raise OSError(f"{unwritable}: {error.strerror}, and {error.filename} is no folder") from error
    except OSError as error:
        raise OSError(f"{unwritable}: {error.strerror}") from error
    try:
        file = lock.open("a")
    except FileNotFoundError:  # another process has taken the folder away
        return None
    except OSError as error:
        raise OSError(f"{unwritable}: {error.strerror}") from error
    with ExitStack() as closing:
        closing.push(file)
        if _lock(file.fileno()) is False:
            raise LockedError(f"another process{_number_in(lock)} {busy}")
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                closing.pop_all()
                return file
    return None


def _number_in(lock: Path) -> str:
    """The number of the process that holds the lock, as far as it has written it."""
    with suppress(OSError, ValueError):
        return f" ({int(lock.read_text(encoding='ascii'))})"
    return ""


def _lock(descriptor: int) -> bool | None:
    """Whether this process holds the lock now; None where the system or the file system has none."""
    if importlib.util.find_spec("fcntl") is None:  # Windows
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True
