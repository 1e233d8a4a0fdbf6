"""Files that are only ever added to, a JSON object a line: a kill may leave half a last one."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cctuning.tools.errors import naming_written
from cctuning.tools.json_text import from_json, to_json

T = TypeVar("T")


class BrokenLineError(ValueError):
    """A whole line that is not what the file should hold; the message is where it stands."""


def add_lines(path: Path, objects: Iterable[Mapping[str, Any]]) -> None:
    """Adds `objects` to the file, and has them on the disk before it returns. Raises `OSError`."""
    with naming_written(path), path.open("a", encoding="utf-8") as file:
        file.write("".join(to_json(item) + "\n" for item in objects))
        file.flush()
        os.fsync(file.fileno())


def recover_lines(path: Path, read: Callable[[Any], T]) -> list[T]:
    """Returns `read` of each line's value; half a last line is cut off, and a missing file has no lines.

    Raises `BrokenLineError` for the first line that is no JSON or that `read` cannot do with, and leaves such
    a file as it is.
    """
    if not path.exists():
        return []
    values: list[T] = []
    size = 0
    with path.open("r+b") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n") and _is_cut(line):
                break
            try:
                value = read(from_json(line))
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                raise BrokenLineError(f"{path}, line {number}") from error
            if not line.endswith(b"\n"):
                break  # what is added next would stand in the same line
            values.append(value)
            size += len(line)
        file.truncate(size)
    return values


def _is_cut(line: bytes) -> bool:
    """Whether this can be the first part of a line of ours; else the file is something else, and it stays."""
    try:
        from_json(line)
    except (ValueError, RecursionError):
        return line[:2] == b'{"'[: len(line)]
    return False


def keep_lines(path: Path, count: int) -> None:
    """Cuts off all but the first `count` lines. Raises `OSError`."""
    with path.open("r+b") as file:
        for _ in range(count):
            file.readline()
        file.truncate(file.tell())
