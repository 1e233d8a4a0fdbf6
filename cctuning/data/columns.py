"""Columns of training data: which one holds each field of a row, and those that a file lacks."""

from collections.abc import Iterable, Mapping

from cctuning.data.fields import NO_RESPONSE, OPTIONAL, PARTS, REQUIRED
from cctuning.data.formats import DataError
from cctuning.settings.near_matches import did_you_mean

_OTHER_WAYS = {
    "instruction": ", or that of conversations with columns.messages=NAME",
    "output": f"; {NO_RESPONSE}",
    **dict.fromkeys(
        ("instruction_en", "messages_en"),
        ", or the rows' English parallels with english=FILE; training without the connection needs none: "
        "connection.enabled=false",
    ),
}
_UNUSED = "\0"  # a column that no row has


def column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """The column of each field, its own name except as `columns` says. Raises `ValueError` for no field."""
    known = {field: field for field in (*REQUIRED, *OPTIONAL, *PARTS)}
    for field in columns or {}:
        if field not in known:
            raise ValueError(f"columns.{field} is no field of a row{did_you_mean(field, known)}")
    names = known | dict(columns or {})
    taken = {column for field, column in names.items() if column != field}
    return {
        field: _UNUSED if column == field and column in taken else column for field, column in names.items()
    }


def check_required_columns(
    file: str, fields: Iterable[str], columns: Mapping[str, str], present: set[str]
) -> None:
    """Raises `DataError` where a file, which has the columns `present`, lacks that of one of `fields`.

    A column that no row has is one error about the file, not one per row. No column of another field is
    proposed: the prompt as its own English parallel would train nothing that the method means.
    """
    for column, field in ((columns[field], field) for field in fields):
        if present and column not in present:
            others = present - {other for name, other in columns.items() if name != field}
            raise DataError(
                f"{file} has no column {column!r}{did_you_mean(column, others)}\n"
                f"columns: {', '.join(sorted(present))}; name the right one with columns.{field}=NAME"
                f"{_OTHER_WAYS.get(field, '')}"
            )


def check_renamed_columns(fields: Iterable[str], columns: Mapping[str, str], present: set[str]) -> None:
    """Raises `DataError` for a renamed column of `fields` that no source has: it would be ignored."""
    for field in fields:
        if columns[field] not in (field, _UNUSED) and columns[field] not in present:
            hint = did_you_mean(columns[field], present)
            raise DataError(f"columns.{field}={columns[field]!r}: no source has this column{hint}")
