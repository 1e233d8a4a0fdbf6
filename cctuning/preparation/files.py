"""Writes training rows in the format that `cctuning.data.rows` reads."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

from cctuning.data.fields import UNKNOWN_LANGUAGE
from cctuning.data.rows import Row
from cctuning.tools.files import whole, write_whole

SUFFIXES = (".jsonl", ".parquet")
COLUMNS = ("id", "language", "instruction", "instruction_en", "output", "output_en")

BENCHMARK_TRANSLATIONS = "translations.jsonl"  # what was translated for a folder of benchmark files

Record = dict[str, str | None]


def write_rows(rows: Sequence[Row], path: Path, *, kinds: Sequence[str] | None = None) -> None:
    """Writes `rows` to `path`, as JSON lines or Parquet by its suffix. An unknown language is null.

    `kinds` become one more column, `kind`. The file is there whole or not at all. Raises `ValueError` for
    another suffix, and `OSError`.
    """
    records = [_record(row) for row in rows]
    if kinds is not None:
        records = [{**record, "kind": kind} for record, kind in zip(records, kinds, strict=True)]
    write_records(records, path)


def write_records(records: Sequence[Record], path: Path) -> None:
    """As `write_rows`, for what is not a whole row yet: every record has all of `COLUMNS`, with null where
    there is nothing. A column in which no record has anything is left out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [column for column in (*COLUMNS, "kind") if any(record.get(column) for record in records)]
    records = [{column: record[column] for column in columns} for record in records]
    if path.suffix == ".jsonl":
        write_whole(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    elif path.suffix == ".parquet":
        schema = pyarrow.schema([(column, pyarrow.string()) for column in columns])
        with whole(path) as part:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records, schema=schema), part)
    else:
        raise ValueError(f"{path}: rows are written as {' or '.join(SUFFIXES)}, by the file's suffix")


def rejects_path(path: Path) -> Path:
    """The list of the rows that did not make it into `path`."""
    return path.with_suffix(".rejects.jsonl")


def removed_path(path: Path) -> Path:
    """The list of the good rows that were removed from `path`."""
    return path.with_suffix(".removed.jsonl")


def _record(row: Row) -> Record:
    record: Record = {column: getattr(row, column) or None for column in COLUMNS}
    if row.language == UNKNOWN_LANGUAGE:
        record["language"] = None
    return record
