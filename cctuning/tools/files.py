"""Files that are whole or not there: a process may be killed at any moment."""

import os
from pathlib import Path


def write_whole(path: str | Path, text: str) -> None:
    """Writes `text` as UTF-8 under another name and then moves it to `path`, which a kill cannot interrupt.

    Raises `OSError`, and leaves what was at `path` before.
    """
    path = Path(path)
    # Named by the process: another one may be writing the same file.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
