"""Writes training rows in the format that `cctuning.rows` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet

from cctuning.fields import UNKNOWN_LANGUAGE
from cctuning.rows import Row

SUFFIXES = (".jsonl", ".parquet")
COLUMNS = ("id", "language", "instruction", "instruction_en", "output", "output_en")


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Writes `rows` to `path`, as JSON lines or Parquet by its suffix.

    A column that no row has is left out; an unknown language is null. Raises `ValueError` for another suffix.
    """
    records = [_record(row) for row in rows]
    columns = [column for column in COLUMNS if any(record[column] is not None for record in records)]
    records = [{column: record[column] for column in columns} for record in records]
    if path.suffix == ".jsonl":
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        path.write_text("".join(lines), encoding="utf-8")
    elif path.suffix == ".parquet":
        schema = pyarrow.schema([(column, pyarrow.string()) for column in columns])
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records, schema=schema), path)
    else:
        raise ValueError(f"{path}: rows are written as {' or '.join(SUFFIXES)}, by the file's suffix")


def rejects_path(path: Path) -> Path:
    """Where the rows that did not make it into `path` are listed."""
    return path.with_suffix(".rejects.jsonl")


def _record(row: Row) -> dict[str, str | None]:
    record: dict[str, str | None] = {column: getattr(row, column) for column in COLUMNS}
    if row.language == UNKNOWN_LANGUAGE:
        record["language"] = None
    return record
