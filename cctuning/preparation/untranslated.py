"""Reads rows that a translation is to be added to, as `cctuning.data.rows` does; one field may be missing."""

from collections.abc import Sequence
from typing import Any

from cctuning.data.columns import check_renamed_columns, check_required_columns, column_names
from cctuning.data.fields import OPTIONAL, PARTS, REQUIRED, UNKNOWN_LANGUAGE, field_fault, is_blank
from cctuning.data.formats import Record
from cctuning.data.rows import Problem
from cctuning.data.sources import find_sources

_FIELDS = (*REQUIRED, *OPTIONAL)
_LEFT_OUT = "would be left out: write the whole prompt into instruction"


def read_candidates(
    data: Sequence[str],
    *,
    columns: dict[str, str],
    split: str,
    language: str | None,
    field: str,
    to_field: str,
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Rows that may lack `to_field`, by the names of our fields, and the rows that cannot be translated.

    Each has `file` and `number` beside the fields. A row needs text in `field`, and a valid value in each
    other field that it has. Raises `DataError` for a source that cannot be read or lacks a column, and
    `ValueError` for a key of `columns` that is no field.
    """
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    names = column_names(columns)
    seen: set[str] = set()
    for source in find_sources(data, split=split):
        columns_seen: set[str] = set()
        faulty: set[str] = set()
        record = None
        for record in source.records():
            row = _row(record, names, language, source.name, source.stem)
            columns_seen.update(record.values if row else ())
            faults = [("", record.fault or "is no object")] if row is None else _faults(row, field, to_field)
            problems += [
                Problem(source.name, record.number, name, why, record.values) for name, why in faults
            ]
            faulty.update(name for name, _ in faults)
            if row is not None and not faults:
                rows.append(row)
        if record is None:
            problems.append(Problem(source.name, 0, "", "holds no rows"))
        needed = [name for name in (*REQUIRED, field) if name in faulty and name != to_field]
        check_required_columns(source.name, needed, names, columns_seen)
        seen |= columns_seen
    check_renamed_columns((to_field, *OPTIONAL), names, seen)
    return rows, problems


def _row(
    record: Record, columns: dict[str, str], language: str | None, file: str, stem: str
) -> dict[str, Any] | None:
    if record.fault or not isinstance(record.values, dict):
        return None
    row = {field: record.values.get(column) for field, column in columns.items()}
    row["id"] = f"{stem}:{record.number}" if row["id"] is None else str(row["id"])
    row["language"] = row["language"] or language or UNKNOWN_LANGUAGE
    return {**row, "file": file, "number": record.number}


def _faults(row: dict[str, Any], field: str, to_field: str) -> list[tuple[str, str]]:
    """The faults of a row's fields; the one to fill in may be missing or empty."""
    faults: list[tuple[str, str | None]] = [
        (name, _LEFT_OUT) for name in PARTS if not is_blank(row.pop(name))
    ]
    checked = [name for name in _FIELDS if name != to_field and (row[name] is not None or name in REQUIRED)]
    faults += [(name, field_fault(name, row[name], is_there=True)) for name in checked]
    if is_blank(row[field]) and field not in REQUIRED:
        faults.append((field, "is missing"))
    if row[to_field] is not None and not isinstance(row[to_field], str):
        faults.append((to_field, "is no text"))
    return [(name, fault) for name, fault in faults if fault]
