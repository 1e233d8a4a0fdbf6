"""Files that are whole or not there, since a process may be killed at any moment, and what they hold."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cctuning.tools.errors import naming_written
from cctuning.tools.locks import held_alone, is_held


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """The path of an empty file beside `path`, which it replaces at the end of the block, once on the disk.

    After an error, or a kill, `path` is as it was. What a kill has left of an earlier one is taken away; that
    of a process which is still writing stays. Raises `OSError`.
    """
    path = Path(path)
    _remove_left(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    with held_alone(part), naming_written(path):
        try:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_whole(path: str | Path, text: str) -> None:
    """Writes `text` as UTF-8, so that `path` is whole at any moment. Raises `OSError`."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def _remove_left(path: Path) -> None:
    """Takes away the parts of this file that nobody holds."""
    with suppress(OSError):  # a folder that is missing, or another process that does the same
        for part in path.parent.iterdir():
            named = part.name.startswith(f".{path.name}.") and part.name.endswith(".part")
            if named and not is_held(part):
                part.unlink(missing_ok=True)
