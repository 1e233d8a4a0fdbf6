"""Where rows come from: JSONL, JSON and Parquet files, folders and globs of them, and hub data sets.

This file finds and decodes; what a training row must hold is in `rows.py`.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

from cctuning.nearest import did_you_mean

_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
_NOT_ROWS = {"dataset_info.json", "dataset_infos.json", "state.json"}
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
_SPLIT_WORDS = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing", "eval", "evaluation"},
}


class DataError(ValueError):
    """A source that cannot be read at all: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it was read: the decoded object, or the text of what could not be decoded, and why."""

    number: int  # from 1; for JSON lines, the line
    values: Any
    fault: str | None = None


@dataclass(frozen=True)
class Source:
    """A file or a data set: its name as messages show it, and its records, read anew by each call."""

    name: str
    records: Callable[[], Iterator[Record]]

    @property
    def stem(self) -> str:
        """The name without folder, suffix and configuration."""
        return re.sub(r"(\.jsonl?(\.gz)?|\.parquet|:[\w.-]+)$", "", self.name.rpartition("/")[2])


def find_sources(names: Sequence[str], *, split: str = "train") -> list[Source]:
    """The files and data sets that `names` stand for, in that order; a folder's files by name.

    Of a folder, files named after another split than `split` are left out (`test.jsonl`, `de-dev.parquet`).
    Raises `DataError` for a name that stands for nothing, or a file that is named twice.
    """
    sources = [source for name in names for source in _expand(name, split)]
    if not sources:
        raise DataError("no data: name files, folders or hub data sets, such as data=[rows.jsonl]")
    seen: set[str] = set()
    for source in sources:
        if source.name in seen:
            raise DataError(f"{source.name} is named twice in data={list(names)}")
        seen.add(source.name)
    return sources


def _expand(name: str, split: str) -> list[Source]:
    path = Path(name).expanduser()
    if path.is_file():
        return [_file(path)]
    if path.is_dir():
        return _folder(path, split)
    if any(sign in name for sign in "*?["):
        paths = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not paths:
            raise DataError(f"no file matches {name}")
        return [source for match in paths for source in _expand(str(match), split)]
    folder, _, config = name.rpartition(":")
    if Path(folder).is_dir() and folder:  # a data set's repository, cloned
        return [Source(name, partial(_data_set_records, folder, config, split))]
    if _HUB_NAME.fullmatch(name) and not name.endswith(_SUFFIXES):
        repository, _, config = name.partition(":")
        return [Source(name, partial(_data_set_records, repository, config or None, split))]
    raise DataError(_missing(path))


def _missing(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        message = f"{path} does not exist, nor does its folder {folder}"
    else:
        message = (
            f"{path} does not exist{did_you_mean(path.name, (entry.name for entry in folder.iterdir()))}"
        )
    if path.parts[0] == "data":
        message += "\ndata/ is filled by the scripts of data_prep/ (python -m data_prep.<script> --help);"
        message += " for rows of your own: data=[my_rows.jsonl]"
    return message


def _file(path: Path) -> Source:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return Source(str(path), partial(_parquet_records, path))
    if name.endswith((".jsonl", ".jsonl.gz", ".json", ".json.gz")):
        return Source(str(path), partial(_json_records, path))
    raise DataError(f"{path}: files are read by their suffix, one of {', '.join(_SUFFIXES)}")


def _folder(folder: Path, split: str) -> list[Source]:
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        return [Source(str(folder), partial(_saved_data_set_records, folder, split))]
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.lower().endswith(_SUFFIXES)
        and path.name not in _NOT_ROWS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise DataError(f"{folder} holds no {', '.join(_SUFFIXES)}")
    kept = [path for path in files if not _other_split(path.name, split)]
    if not kept:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{folder} holds no files of the split {split!r} (data_split), only {names}")
    return [_file(path) for path in kept]


def _other_split(name: str, split: str) -> bool:
    """Whether a file's name says that it is of another split than `split`."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    said = {known for known, synonyms in _SPLIT_WORDS.items() if words & synonyms}
    return bool(said) and split not in said


# --- Formats ------------------------------------------------------------------------------------------------


def _json_records(path: Path) -> Iterator[Record]:
    """A list of objects, or one object a line, whatever the suffix says."""
    try:
        with _opened(path) as file:
            if _start(path, file) == b"[":
                yield from _list_records(path, file.read())
            else:
                yield from _line_records(file)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end: {error}") from error


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _start(path: Path, file: BinaryIO) -> bytes:
    """The first byte that is no space. A byte order mark is passed over; the file stands behind it."""
    head = file.read(4096)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is UTF-16 text: save it as UTF-8")
    mark = b"\xef\xbb\xbf"
    file.seek(len(mark) if head.startswith(mark) else 0)
    return head.removeprefix(mark).lstrip()[:1]


def _line_records(file: BinaryIO) -> Iterator[Record]:
    offset = file.tell()
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield _line_record(number, line, offset)
        offset += len(line)


def _line_record(number: int, line: bytes, offset: int) -> Record:
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 at byte {offset + error.start} of the file"
        return Record(number, line.decode(errors="backslashreplace").rstrip("\r\n"), fault)
    try:
        return Record(number, json.loads(text))
    except json.JSONDecodeError as error:
        return Record(number, text, f"is broken JSON at column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits
        return Record(number, text, f"is JSON that cannot be read: {error}")


def _list_records(path: Path, content: bytes) -> Iterator[Record]:
    try:
        values = json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path} is broken JSON at {where}: {error.msg}") from error
    for number, value in enumerate(values, start=1):
        yield Record(number, value)


def _parquet_records(path: Path) -> Iterator[Record]:
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    yield Record(number := number + 1, values)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def _data_set_records(repository: str, config: str | None, split: str) -> Iterator[Record]:
    import datasets  # imported here: it takes a second that files do not need

    try:
        data_set = datasets.load_dataset(repository, config, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        name = f"{repository}:{config}" if config else repository
        raise DataError(
            f"{name} is no local file or folder, and no hub data set that can be loaded: {error}"
        ) from error
    for number, values in enumerate(data_set, start=1):
        yield Record(number, values)


def _saved_data_set_records(folder: Path, split: str) -> Iterator[Record]:
    import datasets

    data_set = datasets.load_from_disk(str(folder))
    if isinstance(data_set, datasets.DatasetDict):
        if split not in data_set:
            raise DataError(f"{folder} has no split {split!r} (data_split), only {', '.join(data_set)}")
        data_set = data_set[split]
    for number, values in enumerate(data_set, start=1):
        yield Record(number, values)
