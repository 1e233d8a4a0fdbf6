"""Checkpoints that count: complete, undamaged, and never removed before the next one is.

A checkpoint is a folder `checkpoint-<step>` of the Trainer's with a marker, `complete.json`, that is written
last and holds the size and SHA-256 of every file. Without a marker, or where a file is not as the marker
says, it does not count: a kill, a full disk or a bad disk came in between.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from cctuning.tools.files import sha256, write_whole
from cctuning.tools.json_text import from_json, to_json
from cctuning.training.pickles import check_pickles

MARKER = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")
_THREADS = 8  # hashing leaves Python's lock, and a checkpoint has several files


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, or could not be written; the message says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint, as its marker tells it."""

    path: Path
    step: int
    engine: str  # a name of `engines.ENGINES`
    processes: int


def checkpoint_folder(output_dir: str | Path, step: int) -> Path:
    """The folder of a step's checkpoint."""
    return Path(output_dir) / f"checkpoint-{step}"


def checkpoint_folders(output_dir: str | Path) -> list[Path]:
    """All checkpoint folders of a run, complete or not, the newest step first."""
    folders = [path for path in Path(output_dir).glob("checkpoint-*") if path.is_dir()]
    steps = {path: int(match[1]) for path in folders if (match := _NAME.fullmatch(path.name))}
    return sorted(steps, key=steps.__getitem__, reverse=True)


def seal(folder: str | Path, *, step: int, engine: str, processes: int) -> Checkpoint:
    """Declares all files in `folder` complete, after they have reached the disk. Raises `OSError`."""
    folder = Path(folder)
    files = [path for path in _files(folder) if path.name != MARKER]
    digests = _each(files, _flushed_sha256)
    marker = {
        "step": step,
        "engine": engine,
        "processes": processes,
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": digest}
            for path, digest in zip(files, digests, strict=True)
        },
    }
    write_whole(folder / MARKER, to_json(marker, indent=2) + "\n")
    return Checkpoint(folder, step, engine, processes)


def check(folder: str | Path) -> Checkpoint:
    """The checkpoint in `folder`, every file compared with the marker.

    Raises `CheckpointError` where the marker is missing or broken, or a file is missing, shorter or longer,
    or other than it was, and `UnsafePickleError` where a file names code to run (see `pickles`).
    """
    folder = Path(folder)
    marker = _read_marker(folder)
    for name, entry in marker["files"].items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{folder}: {name} is missing")
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise CheckpointError(f"{folder}: {name} has {size:,} bytes, and had {entry['bytes']:,}")
    paths = [folder / name for name in marker["files"]]
    digests = [entry["sha256"] for entry in marker["files"].values()]
    for path, before, now in zip(paths, digests, _each(paths, sha256), strict=True):
        if before != now:
            name = path.relative_to(folder).as_posix()
            raise CheckpointError(f"{folder}: {name} is damaged, its checksum is not that of the marker")
    check_pickles(folder)
    return Checkpoint(folder, marker["step"], marker["engine"], marker["processes"])


def newest_complete(
    output_dir: str | Path, passed_over: Callable[[CheckpointError], object] = lambda error: None
) -> Checkpoint | None:
    """The newest checkpoint of a run that counts; `passed_over` is called with each newer one."""
    for folder in checkpoint_folders(output_dir):
        try:
            return check(folder)
        except CheckpointError as error:
            passed_over(error)
    return None


def remove_old(output_dir: str | Path, keep: int | None, newest: str | Path, protected: Any = None) -> None:
    """Removes all but the last `keep` complete checkpoints of the line of training that ends in `newest`.

    Called when `newest` has got its marker, so a complete one always remains; `protected`, a folder, stays,
    too. With what is older go the remains of interruptions, and what is newer: it was passed over because it
    is damaged, or belongs to a line that this run did not go on from. With `keep` None all complete ones
    of the line stay.
    """
    folders = checkpoint_folders(output_dir)
    line = folders[folders.index(Path(newest)) :]
    kept = [folder for folder in line if (folder / MARKER).is_file()][:keep]
    for folder in folders:
        if folder not in kept and str(folder) != str(protected):
            remove(folder)


@contextmanager
def write_failures_explained(output_dir: str | Path, step: int | None = None) -> Iterator[None]:
    """Turns a failure to write a step's checkpoint, or the model itself, into a `CheckpointError`.

    Its message says why, and what is left. What was written of a checkpoint is removed, which also gives its
    space back.
    """
    output_dir = Path(output_dir)
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _is_about_writing(error):
            raise
        what = f"the model in {output_dir}"
        if step is not None:
            what = str(checkpoint_folder(output_dir, step))
            remove(what)
        complete = [folder for folder in checkpoint_folders(output_dir) if (folder / MARKER).is_file()]
        left = (
            f"{complete[0]} is untouched, and the same command goes on from there with resume=auto"
            if complete
            else "no earlier checkpoint was made, so the same command starts anew"
        )
        raise CheckpointError(f"{what} could not be written: {_reason(error, output_dir)}; {left}") from error


def _is_about_writing(error: BaseException) -> bool:
    """Torch reports a failed write as a RuntimeError, safetensors as an error of its own."""
    if isinstance(error, RuntimeError):
        return "PytorchStreamWriter" in str(error) or "inline_container" in str(error)
    return True


def _reason(error: BaseException, folder: Path) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
    free = shutil.disk_usage(folder).free / 2**20
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or free < 1
    return f"{text} ({free:,.0f} MiB are free there" + (
        ": make room, or set save_total_limit=1)" if full else ")"
    )


def remove(folder: str | Path) -> None:
    """Removes a checkpoint, its marker first: what is left of it after a kill is not taken for complete."""
    (Path(folder) / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _read_marker(folder: Path) -> dict[str, Any]:
    path = folder / MARKER
    if not path.is_file():
        raise CheckpointError(f"{folder}: {MARKER} is missing, it was not written to its end")
    try:
        marker: dict[str, Any] = from_json(path.read_text(encoding="utf-8"))
        entries = {
            name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in marker["files"].items()
        }
        well_formed = bool(entries) and int(marker["step"]) >= 0 and int(marker["processes"]) > 0
        well_formed = well_formed and isinstance(marker["engine"], str)
    except (ValueError, TypeError, KeyError, AttributeError):
        well_formed = False
    if not well_formed:
        raise CheckpointError(f"{folder}: {MARKER} is broken")
    for name in entries:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise CheckpointError(f"{folder}: {MARKER} names {name}, which lies outside of the folder")
    return marker


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _each(paths: list[Path], digest: Callable[[Path], str]) -> list[str]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(digest, paths))


def _flushed_sha256(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return sha256(path)
