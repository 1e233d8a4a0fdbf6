"""Training rows: read, checked, and rejected with file, row and field where they cannot be used."""

import dataclasses
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cctuning.data.fields import (
    NO_LANGUAGE_CODE,
    OPTIONAL,
    REQUIRED,
    UNKNOWN_LANGUAGE,
    field_fault,
    is_blank,
    is_english,
    is_language_code,
    is_unicode,
    shown,
    stripped,
    type_name,
    whole_number,
)
from cctuning.data.formats import ONE_OBJECT, DataError, Record
from cctuning.data.sources import Source, find_sources
from cctuning.settings.near_matches import did_you_mean

_SHOWN = 20
_TEXTS = ("instruction", "instruction_en", "output", "output_en")
_INPUT_IGNORED = (
    "is not empty, and would be left out: append it to the instruction, and its English to instruction_en"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Reason why a row, or with number 0 a whole file, was rejected."""

    file: str
    number: int
    field: str  # "" where it is not about one field
    message: str
    values: Any = dataclasses.field(default=None, compare=False, repr=False)  # the row as it was read

    def __str__(self) -> str:
        place = f"{self.file}, row {self.number}" if self.number else self.file
        return f"{place}, {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt, its English parallel and the response, and where they were read."""

    id: str  # the same id in two languages is the same English item
    instruction: str
    instruction_en: str  # "" where it is missing and nobody needs it
    output: str
    language: str  # UNKNOWN_LANGUAGE where the data does not say
    output_en: str | None
    file: str
    number: int  # from 1; for JSON lines, the line

    def problem(self, field: str, message: str) -> Problem:
        """This row, rejected by a later step."""
        return Problem(self.file, self.number, field, message, dataclasses.asdict(self))


def listed(problems: Sequence[Problem], kind: str) -> str:
    """The number of bad rows or items, `kind`, and the first problems."""
    count = len({(problem.file, problem.number) for problem in problems})
    lines = [f"{count} bad {kind}{'s' * (count != 1)}:", *(f"  {problem}" for problem in problems[:_SHOWN])]
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more problems")
    return "\n".join(lines)


class BadRowsError(ValueError):
    """Rows that cannot be trained on; the message lists the first, `problems` holds all.

    `listed` is the message without the advice for a training run.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        self.listed = listed(problems, "row")
        super().__init__(
            f"{self.listed}\n"
            "Repair them, or set on_bad_row=skip to train without them (a rejects file will list them)"
        )


def read_rows(
    sources: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    split: str = "train",
    language: str | None = None,
    english: bool = True,
    on_bad_row: str = "error",
) -> tuple[list[Row], list[Problem]]:
    """The rows of all `sources`, in order, and what was wrong with the others.

    A row needs text in `instruction`, `instruction_en` and `output`; it may have `id`, `language` and
    `output_en`, where null counts as absent. Other columns are ignored, except an Alpaca `input`: a row with
    text in it is rejected, since its prompt would be incomplete. A row whose language is English may lack
    `instruction_en`: it is the instruction. Texts are read without blanks and line breaks at their ends,
    which would be trained otherwise. An id that is a whole number may be written 1 or 1.0; without one it is
    `<file stem>:<row number>`.

    Args:
        sources: files (.jsonl, .json, .parquet, also .gz of the first two), folders or globs of them, and hub
            data sets (`org/name` or `org/name:config`).
        columns: from a field of `Row` to the column that holds it, where the names differ.
        split: of data sets that have splits; in folders, files named after another split are left out.
        language: of rows that do not say it themselves.
        english: whether a row needs an English parallel; False for training without the connection.
        on_bad_row: `error` or `skip`.

    Raises `BadRowsError` for bad rows unless they are skipped, `DataError` for a source that cannot be read
    or lacks a column, and `ValueError` for an argument that is not accepted.
    """
    if on_bad_row not in ("error", "skip"):
        raise ValueError(f"on_bad_row={on_bad_row!r} is not one of error, skip")
    if language is not None and not is_language_code(language):
        raise ValueError(f"language={language!r} {NO_LANGUAGE_CODE}")
    reader = _Reader(column_names(columns), language, english)
    for source in _with_unique_stems(find_sources(sources, split=split)):
        reader.read(*source)
    optional = [field for field in reader.columns if field not in reader.required]
    check_renamed_columns(optional, reader.columns, reader.columns_seen)
    if reader.problems and on_bad_row == "error":
        raise BadRowsError(reader.problems)
    return reader.rows, reader.problems


def rows_from_records(
    records: Iterable[Mapping[str, Any]],
    *,
    name: str = "train_dataset",
    english: bool = True,
    on_bad_row: str = "error",
) -> tuple[list[Row], list[Problem]]:
    """As `read_rows`, for rows in memory: a `datasets.Dataset`, or dictionaries; `name` is for messages."""
    source = Source(name, lambda: (Record(number, dict(record)) for number, record in enumerate(records, 1)))
    reader = _Reader(column_names(None), None, english)
    reader.read(source, name)
    if reader.problems and on_bad_row == "error":
        raise BadRowsError(reader.problems)
    return reader.rows, reader.problems


def write_rejects(problems: Sequence[Problem], path: str | Path) -> None:
    """One JSON line per rejected row: `file`, `number`, `reasons`, and the `row` as it was read."""
    by_row: dict[tuple[str, int], list[Problem]] = {}
    for problem in problems:
        by_row.setdefault((problem.file, problem.number), []).append(problem)
    with Path(path).open("w", encoding="utf-8") as file:
        for (name, number), of_row in by_row.items():
            reasons = [f"{problem.field}: {problem.message}".removeprefix(": ") for problem in of_row]
            reject = {"file": name, "number": number, "reasons": reasons, "row": of_row[0].values}
            try:
                line = _json_line(reject)
            except RecursionError:
                line = _json_line({**reject, "row": "is nested too deeply to be written here"})
            file.write(line + "\n")


def sample_rows(rows: Sequence[Row], count: int | None, *, seed: int) -> list[Row]:
    """`count` rows drawn at random, in their old order; all of them where there are no more, or for None."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[index] for index in sorted(random.Random(seed).sample(range(len(rows)), count))]


# --- Reading ------------------------------------------------------------------------------------------------


class _Reader:
    """Checks source after source; ids are compared across all of them."""

    def __init__(self, columns: dict[str, str], language: str | None, english: bool) -> None:
        self.columns = columns
        self.language = language
        self.required = tuple(field for field in REQUIRED if english or field != "instruction_en")
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self._first_with_id: dict[tuple[str, str], Row] = {}
        self.columns_seen: set[str] = set()

    def read(self, source: Source, stem: str) -> None:
        """Adds the rows and the problems of one source."""
        columns: set[str] = set()
        problems: list[Problem] = []
        count = 0
        for record in source.records():
            count += 1
            row, faults = self._check(record, source.name, stem)
            if isinstance(record.values, dict):
                columns.update(record.values)
            if row and not (faults := list(self._duplicates(row))):
                self.rows.append(row)
            for field, message in faults:
                problems.append(Problem(source.name, record.number, field, message, record.values))
        if not count:
            problems.append(Problem(source.name, 0, "", "holds no rows"))
        elif count == 1 and problems and isinstance(record.values, dict):
            self._check_is_row(source.name, record.values)
        faulty = {problem.field for problem in problems}
        wanted = [field for field in self.required if self.columns[field] in faulty]
        check_required_columns(source.name, wanted, self.columns, columns)
        self.columns_seen |= columns
        self.problems += problems

    def _check(self, record: Record, file: str, stem: str) -> tuple[Row | None, list[tuple[str, str]]]:
        """The row, or its faults as (field, message)."""
        values = record.values
        if record.fault:
            return None, [("", record.fault)]
        if not isinstance(values, dict):
            return None, [("", f"is {type_name(values)}, must be an object with {', '.join(self.required)}")]
        fields: dict[str, Any] = {field: values.get(column) for field, column in self.columns.items()}
        if fields["language"] is None:
            fields["language"] = self.language or UNKNOWN_LANGUAGE
        if fields["id"] is None:
            fields["id"] = f"{stem}:{record.number}"
        elif (number := whole_number(fields["id"])) is not None:
            fields["id"] = str(number)
        for field in _TEXTS:
            if isinstance(fields[field], str):
                fields[field] = stripped(fields[field])
        if is_english(fields["language"]) and is_blank(fields["instruction_en"]):
            fields["instruction_en"] = fields["instruction"]
        if "instruction_en" not in self.required and is_blank(fields["instruction_en"]):
            fields["instruction_en"] = None
        faults = [
            (column, fault)
            for field, column in self.columns.items()
            if (fault := field_fault(field, fields[field], column in values, self.required))
        ]
        fields["instruction_en"] = fields["instruction_en"] or ""
        if "input" not in self.columns.values() and not is_blank(values.get("input")):
            faults.append(("input", _INPUT_IGNORED))
        return (None, faults) if faults else (Row(**fields, file=file, number=record.number), [])

    def _duplicates(self, row: Row) -> Iterator[tuple[str, str]]:
        first = self._first_with_id.setdefault((row.language, row.id), row)
        if first is not row:
            place = f"{first.file}, row {first.number}"
            hint = "; set language= or add a column" if row.language == UNKNOWN_LANGUAGE else ""
            yield (
                self.columns["id"],
                f"{shown(row.id)} in language {row.language!r} is also the id of {place}{hint}",
            )

    def _check_is_row(self, file: str, values: dict[str, Any]) -> None:
        """One object that holds all rows, or all columns, is one error about the file."""
        lists = {key: value for key, value in values.items() if isinstance(value, list)}
        for key, value in lists.items():
            if value and all(isinstance(item, dict) for item in value) and key not in self.columns.values():
                raise DataError(f"{file} is one object with rows inside of {key!r}: {ONE_OBJECT}")
        if len(lists.keys() & {self.columns[field] for field in REQUIRED}) > 1:
            raise DataError(f"{file} is one object with a list for each column: {ONE_OBJECT}")


# --- Columns ------------------------------------------------------------------------------------------------


def column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """The column of each field, its own name except as `columns` says. Raises `ValueError` for no field."""
    known = {field: field for field in (*REQUIRED, *OPTIONAL)}
    for field in columns or {}:
        if field not in known:
            raise ValueError(f"columns.{field} is no field of a row{did_you_mean(field, known)}")
    return known | dict(columns or {})


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
            without = "; training without the connection needs none: connection.enabled=false"
            raise DataError(
                f"{file} has no column {column!r}{did_you_mean(column, others)}\n"
                f"columns: {', '.join(sorted(present))}; name the right one with columns.{field}=NAME"
                f"{without if field == 'instruction_en' else ''}"
            )


def check_renamed_columns(fields: Iterable[str], columns: Mapping[str, str], present: set[str]) -> None:
    """Raises `DataError` for a renamed column of `fields` that no source has: it would be ignored."""
    for field in fields:
        if columns[field] != field and columns[field] not in present:
            hint = did_you_mean(columns[field], present)
            raise DataError(f"columns.{field}={columns[field]!r}: no source has this column{hint}")


def _with_unique_stems(sources: Sequence[Source]) -> list[tuple[Source, str]]:
    """Each source and the start of its rows' default ids: its stem, or its name where two share a stem."""
    stems = [source.stem for source in sources]
    return [
        (source, stem if stems.count(stem) == 1 else source.name)
        for source, stem in zip(sources, stems, strict=True)
    ]


def _json_line(value: Any) -> str:
    line = json.dumps(value, ensure_ascii=False, default=str)
    return line if is_unicode(line) else json.dumps(value, default=str)
