"""Files -> records: JSON lines, JSON lists, Parquet, and what `datasets` saves (CSV: `delimited`).

Nothing here runs code or follows a name out of the folder that was given: a saved data set is read from its
Arrow files, not through `datasets`. What a training row must hold is in `rows.py`.
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

# Bytes of a JSON line. What is longer is no row, and reading it whole could take all memory.
LONGEST_LINE = 2**25

_KEPT = 1000  # bytes of a longer line that go into the rejects file
_OTHER_KINDS = {
    b"\xff\xfe": "is UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8",
    b"\x00\x00\xfe\xff": "is UTF-32 text: save it as UTF-8",
    b"\xff\xfe\x00\x00": "is UTF-32 text: save it as UTF-8",
    b"PAR1": "is a Parquet file: name it .parquet",
    b"\x1f\x8b": "is compressed: name it .jsonl.gz or .json.gz",
    b"PK\x03\x04": "is a zip archive: unpack it",
}
ONE_OBJECT = "rows are written one object a line, {...}, or as a list of objects, [{...}, {...}]"


class DataError(ValueError):
    """A source that cannot be read at all: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it was read: the decoded object, or the text of what could not be decoded, and why."""

    number: int  # from 1; for JSON lines, the line
    values: Any
    fault: str | None = None


# --- JSON ---------------------------------------------------------------------------------------------------


def json_records(path: Path) -> Iterator[Record]:
    """A list of objects, or one object a line, whatever the suffix says. Raises `DataError`."""
    with reading(path), opened(path) as file:
        if first_byte(path, file) == b"[":
            yield from _list_records(path, file.read())
        else:
            yield from _line_records(path, file)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what can go wrong while a file is read into a `DataError` that names it."""
    try:
        yield
    except gzip.BadGzipFile as error:
        raise DataError(f"{path} is not compressed, as its name says: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end: {_reason(error)}") from error


def opened(path: Path) -> BinaryIO:
    """The file to read bytes from, unpacked where its name ends in .gz."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def first_byte(path: Path, file: BinaryIO) -> bytes:
    """The first byte that is no space. A byte order mark is passed over; the file stands behind it.

    Raises `DataError` for a file that is no UTF-8 text.
    """
    head = file.read(4096)
    # The longest first: UTF-32's mark starts as UTF-16's does.
    for start in sorted(_OTHER_KINDS, key=len, reverse=True):
        if head.startswith(start):
            raise DataError(f"{path} {_OTHER_KINDS[start]}")
    if b"\0" in head[:4]:
        raise DataError(f"{path} is no UTF-8 text (UTF-16 or UTF-32 perhaps): save it as UTF-8")
    mark = b"\xef\xbb\xbf"
    file.seek(len(mark) if head.startswith(mark) else 0)
    return head.removeprefix(mark).lstrip()[:1]


def _line_records(path: Path, file: BinaryIO) -> Iterator[Record]:
    offset, number = file.tell(), 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1 and line.strip() == b"{":
            raise DataError(f"{path} holds one object over several lines: {ONE_OBJECT}")
        start, size = offset, len(line)
        if size > LONGEST_LINE:
            for rest in iter(lambda: file.readline(LONGEST_LINE), b""):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            fault = f"is a line of {size:,} bytes, and the longest that is read has {LONGEST_LINE:,}"
            yield Record(number, line[:_KEPT].decode(errors="backslashreplace"), fault)
        elif line.strip():
            yield _line_record(number, line, start)
        offset += size


def _line_record(number: int, line: bytes, offset: int) -> Record:
    try:
        text = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 at byte {offset + error.start} of the file: save it as UTF-8"
        return Record(number, line.decode(errors="backslashreplace").rstrip("\r\n"), fault)
    try:
        return _record(number, _decoded(text))
    except json.JSONDecodeError as error:
        return Record(number, text, f"is broken JSON at column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        return Record(number, text, f"is JSON that cannot be read: {error}")


def _list_records(path: Path, content: bytes) -> Iterator[Record]:
    try:
        values = _decoded(content.decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path} is broken JSON at {where}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is JSON that cannot be read: {error}") from error
    for number, value in enumerate(values, start=1):
        yield _record(number, value)


class _Repeating(dict[str, Any]):
    """An object in which a key is there twice; it holds the last value of each."""

    key: str


def _decoded(text: str) -> Any:
    """The value of JSON text. A number or a nesting may be beyond Python's limits."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    repeating = _Repeating(values)
    repeating.key = Counter(key for key, _ in pairs).most_common(1)[0][0]
    return repeating


def _record(number: int, value: Any) -> Record:
    if isinstance(value, _Repeating):
        return Record(number, dict(value), f"has the key {value.key!r} twice")
    return Record(number, value)


# --- Parquet and Arrow --------------------------------------------------------------------------------------


def parquet_records(path: Path) -> Iterator[Record]:
    """The rows of a Parquet file. Raises `DataError`."""
    return _arrow_records(path, _parquet_batches(path), "Parquet")


def saved_records(folder: Path, split: str) -> Iterator[Record]:
    """The rows that `datasets` wrote with `save_to_disk`: a data set, or one of its splits.

    Raises `DataError`, also for a file that is named outside of the folder.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = _described(folder / "dataset_dict.json", "splits")
        if split not in splits:
            raise DataError(
                f"{folder} has no split {split!r} (data_split), only {', '.join(map(str, splits))}"
            )
        folder = _inside(folder, split)
    number = 0
    for entry in _described(folder / "state.json", "_data_files"):
        path = _inside(
            folder, entry["filename"] if isinstance(entry, dict) and "filename" in entry else entry
        )
        for record in _arrow_records(path, _stream_batches(path), "Arrow"):
            yield Record(number := number + 1, record.values, record.fault)


def _described(path: Path, key: str) -> list[Any]:
    """A list in one of the JSON files of a saved data set."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not what datasets writes: {_reason(error)}") from error
    if not isinstance(value, list):
        raise DataError(f"{path} is not what datasets writes: {key} is no list")
    return value


def _inside(folder: Path, name: Any) -> Path:
    """`folder/name`, where `name` is a plain name."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise DataError(f"{folder} names {name!r} as a part of it, which is no plain name of a file there")
    return folder / name


def _stream_batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
        yield from stream


def _parquet_batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches()


def _arrow_records(path: Path, batches: Iterator[pyarrow.RecordBatch], kind: str) -> Iterator[Record]:
    number = 0
    try:
        for batch in batches:
            twice = [name for name, count in Counter(batch.schema.names).items() if count > 1]
            if twice:
                raise DataError(f"{path} has two columns that are named {twice[0]!r}")
            for record in _batch_records(_with_class_names(batch)):
                yield Record(number := number + 1, record.values, record.fault)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable {kind} file: {_reason(error)}") from error


def _with_class_names(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """The batch with the names of classes that `datasets` writes as numbers (`ClassLabel`)."""
    for column, names in class_names(batch.schema.metadata).items():
        if column in batch.schema.names:
            place = batch.schema.names.index(column)
            numbers = batch.column(place).to_pylist()
            texts = [class_name(names, number) for number in numbers]
            batch = batch.set_column(place, column, pyarrow.array(texts, pyarrow.string()))
    return batch


def class_name(names: Sequence[str], number: Any) -> str | None:
    """The name of a class; None for -1, which stands for no label, and for other numbers that are none."""
    known = isinstance(number, int) and 0 <= number < len(names)
    return names[number] if known else None


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of classes by column, from what `datasets` writes into a schema; none where it did not."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _batch_records(batch: pyarrow.RecordBatch) -> list[Record]:
    """The rows of a batch; where it has a value that Python cannot hold, that row is a fault."""
    try:
        return [Record(0, values) for values in batch.to_pylist()]
    except (ValueError, OverflowError):
        return [_row_record(batch.slice(row, 1)) for row in range(batch.num_rows)]


def _row_record(row: pyarrow.RecordBatch) -> Record:
    try:
        return Record(0, row.to_pylist()[0])
    except (ValueError, OverflowError) as error:
        return Record(0, None, f"holds a value that cannot be read: {error}")
