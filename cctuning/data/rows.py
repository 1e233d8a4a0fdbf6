"""Training rows: read, checked, and rejected with file, row and field where they cannot be used."""

import dataclasses
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cctuning.data.columns import check_renamed_columns, check_required_columns, column_names
from cctuning.data.conversations import Message, Texts, messages_in, texts_of, with_same_system
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
    type_name,
    whole_number,
)
from cctuning.data.formats import ONE_OBJECT, DataError, Record
from cctuning.data.sources import Source, find_sources

_SHOWN = 20
_ONE_TURN = (
    "is a conversation, or has a system message, which only training and the fit read: here a row is one "
    "instruction"
)

_TRAINS_NOTHING = "is missing, and the English prompt is the prompt itself: the row would train nothing"


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

    @property
    def part(self) -> str:
        """The part of the row that it is about, in words for a count."""
        return self.field or ("the row itself" if self.number else "the file itself")


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt, its English parallel and the response, and where they were read."""

    id: str  # the same id in two languages is the same English item
    instruction: str
    instruction_en: str  # "" where it is missing and nobody needs it
    output: str  # "" where it is missing and not needed
    language: str  # UNKNOWN_LANGUAGE where the data does not say
    output_en: str | None
    file: str
    number: int  # from 1; for JSON lines, the line
    # What was said before the instruction: a system message, earlier turns.
    history: tuple[Message, ...] = ()
    history_en: tuple[Message, ...] = ()  # of the same roles; empty where instruction_en is

    def problem(self, field: str, message: str) -> Problem:
        """This row, rejected by a later step."""
        return Problem(self.file, self.number, field, message, dataclasses.asdict(self))


def listed(problems: Sequence[Problem], kind: str) -> str:
    """The number of bad rows or items, `kind`, and the first problems."""
    lines = [f"{rejected_text(problems, f'bad {kind}')}:", *(f"  {problem}" for problem in problems[:_SHOWN])]
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more problems")
    return "\n".join(lines)


def rejected_text(problems: Sequence[Problem], kind: str = "row") -> str:
    """How many rows, or what `kind` says, and files were rejected, in words; each counts once."""
    places = {(problem.file, problem.number) for problem in problems}
    rows = sum(number > 0 for _, number in places)
    counts = {kind: rows, "empty file": len(places) - rows}
    return ", ".join(f"{count:,} {name}{'s' * (count != 1)}" for name, count in counts.items() if count)


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
    response: bool = True,
    parallels: Sequence[str] = (),
    conversations: bool = False,
    on_bad_row: str = "error",
    first: int | None = None,
) -> tuple[list[Row], list[Problem]]:
    """The rows of all `sources`, in order, and what was wrong with the others.

    A row needs text in `instruction`, `instruction_en` and `output`; it may have `id`, `language` and
    `output_en`, where null counts as absent. An Alpaca `input` follows its instruction. In place of the
    instruction it may hold `messages` or `conversations` (`conversations.texts_of`). Other columns are
    ignored. A row whose language is English may lack its English side: it is the row's own. Texts are read
    without blanks and line breaks at their ends, which would be trained otherwise. An id that is a whole
    number may be written 1 or 1.0; without one it is `<file stem>:<row number>`.

    Args:
        sources: files (.jsonl, .json, .csv, .tsv, also .gz of these, .parquet), folders or globs of them, and
            hub data sets (`org/name` or `org/name:config`).
        columns: from a field of `Row` to the column that holds it, where the names differ.
        split: of data sets that have splits; in folders, files named after another split are left out.
        language: of rows that do not say it themselves.
        english: whether a row needs an English parallel; False for training without the connection.
        response: whether a row needs a response; False where one without it counts by its two prompts.
        parallels: sources of the English side, whose rows have the ids of the rows that they belong to.
        conversations: whether rows may have a history; otherwise such a row is a problem.
        on_bad_row: `error` or `skip`.
        first: read no more than so many rows, bad ones too; None for all. Columns that the rest may have are
            not missed.

    Raises `BadRowsError` for bad rows unless they are skipped, `DataError` for a source that cannot be read
    or lacks a column, and `ValueError` for an argument that is not accepted.
    """
    if on_bad_row not in ("error", "skip"):
        raise ValueError(f"on_bad_row={on_bad_row!r} is not one of error, skip")
    if language is not None and not is_language_code(language):
        raise ValueError(f"language={language!r} {NO_LANGUAGE_CODE}")
    names = column_names(columns)
    reader = _Reader(names, language, english=english, response=response, conversations=conversations)
    if parallels:
        other_side = _Reader(names, "en", english=False, response=False, conversations=conversations)
        for source, stem in _with_unique_stems(find_sources(parallels, split=split)):
            other_side.read(source, stem)
        reader.take_parallels(other_side)
    for source, stem in _with_unique_stems(find_sources(sources, split=split)):
        if first is None or reader.count < first:
            reader.read(source, stem, most=None if first is None else first - reader.count)
    if first is None or reader.count < first:
        optional = [field for field in reader.columns if field not in reader.required]
        check_renamed_columns(optional, reader.columns, reader.columns_seen)
    if reader.problems and on_bad_row == "error":
        raise BadRowsError(reader.problems)
    return reader.rows, reader.problems


def stream_rows(
    sources: Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    split: str = "train",
    language: str | None = None,
    english: bool = True,
    response: bool = True,
    conversations: bool = False,
    unique: int = 0,
) -> Iterator[Row | list[Problem]]:
    """The rows of `read_rows` one by one, and for a bad row what is wrong with it; none is kept.

    Ids are compared among the first `unique` rows, bad ones too: those of all would not fit into memory.
    Raises `DataError` for a source that cannot be read or lacks a column, when its end is reached.
    """
    reader = _Reader(
        column_names(columns),
        language,
        english=english,
        response=response,
        conversations=conversations,
        unique=unique,
    )
    for source, stem in _with_unique_stems(find_sources(sources, split=split)):
        yield from reader.stream(source, stem)


def rows_from_records(
    records: Iterable[Mapping[str, Any]],
    *,
    english: bool = True,
    response: bool = True,
    on_bad_row: str = "error",
) -> tuple[list[Row], list[Problem]]:
    """As `read_rows`, for rows in memory: a `datasets.Dataset`, or dictionaries."""
    name = "train_dataset"  # in messages
    source = Source(name, lambda: (Record(number, dict(record)) for number, record in enumerate(records, 1)))
    reader = _Reader(column_names(None), None, english=english, response=response, conversations=True)
    reader.read(source, name)
    if reader.problems and on_bad_row == "error":
        raise BadRowsError(reader.problems)
    return reader.rows, reader.problems


def write_rejects(problems: Sequence[Problem], path: str | Path, *, append: bool = False) -> int:
    """One JSON line per rejected row: `file`, `number`, `reasons`, and the `row` as it was read.

    Returns the number of lines.
    """
    by_row: dict[tuple[str, int], list[Problem]] = {}
    for problem in problems:
        by_row.setdefault((problem.file, problem.number), []).append(problem)
    with Path(path).open("a" if append else "w", encoding="utf-8") as file:
        for (name, number), of_row in by_row.items():
            reasons = [f"{problem.field}: {problem.message}".removeprefix(": ") for problem in of_row]
            reject = {"file": name, "number": number, "reasons": reasons, "row": of_row[0].values}
            try:
                line = _json_line(reject)
            except RecursionError:
                line = _json_line({**reject, "row": "is nested too deeply to be written here"})
            file.write(line + "\n")
    return len(by_row)


def sample_rows(rows: Sequence[Row], count: int | None, *, seed: int) -> list[Row]:
    """`count` rows drawn at random, in their old order; all of them where there are no more, or for None."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[index] for index in sorted(random.Random(seed).sample(range(len(rows)), count))]


def held_out_rows(rows: Sequence[Row], share: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """The rows without a `share` of the items, drawn at random, and the rows of these, both in their order.

    An item is all rows of one id: its translations do not tell what is held out. At least one is, unless
    `share` is 0. Rows without a response are not held out: those of a chosen item are in neither part.
    Raises `ValueError` where none would be left.
    """
    if not share:
        return list(rows), []
    items = sorted({row.id for row in rows if row.output})
    chosen = set(random.Random(seed).sample(items, max(1, round(share * len(items)))))
    if len(chosen) == len(items):
        raise ValueError(f"eval_share={share} of {len(items)} items leaves none to train on")
    held_out = [row for row in rows if row.id in chosen and row.output]
    return [row for row in rows if row.id not in chosen], held_out


# --- Reading ------------------------------------------------------------------------------------------------


class _Reader:
    """Checks source after source; ids are compared across all of them."""

    def __init__(
        self,
        columns: dict[str, str],
        language: str | None,
        *,
        english: bool,
        conversations: bool,
        response: bool = True,
        unique: int | None = None,
    ) -> None:
        self.columns = columns
        self.language = language
        self.conversations = conversations
        self.parallels: dict[str, Row] | None = None  # English rows by id, where they are read from elsewhere
        needed = {"instruction": True, "instruction_en": english, "output": response}
        self.required = tuple(field for field in REQUIRED if needed[field])
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.count = 0  # rows that were read, bad ones too
        self.unique = unique  # so many of which have ids of their own; None: all
        self._first_with_id: dict[tuple[str, str], Row] = {}
        self.columns_seen: set[str] = set()

    def take_parallels(self, english: "_Reader") -> None:
        """Takes what another reader has read for the English side of rows with the same ids."""
        self.problems += english.problems
        self.parallels = {row.id: row for row in english.rows if is_english(row.language)}
        for row in english.rows:
            if not is_english(row.language):
                self.problems.append(row.problem("language", f"is {row.language}, and english= names it"))

    def read(self, source: Source, stem: str, *, most: int | None = None) -> None:
        """Adds the rows and the problems of one source, of no more than `most` rows."""
        for result in self.stream(source, stem, most=most):
            if isinstance(result, Row):
                self.rows.append(result)
            else:
                self.problems += result

    def stream(self, source: Source, stem: str, *, most: int | None = None) -> Iterator[Row | list[Problem]]:
        """The rows of one source, and of a bad one its problems."""
        columns: set[str] = set()
        faulty: set[str] = set()
        before = self.count
        for record in islice(source.records(), most):
            self.count += 1
            row, faults = self._check(record, source.name, stem)
            if isinstance(record.values, dict):
                columns.update(record.values)
            if row and not (faults := list(self._duplicates(row))):
                yield row
            if faults:
                faulty.update(field for field, _ in faults)
                yield [Problem(source.name, record.number, *fault, record.values) for fault in faults]
        if self.count == before:
            yield [Problem(source.name, 0, "", "holds no rows")]
        elif self.count == before + 1 and faulty and isinstance(record.values, dict):
            self._check_is_row(source.name, record.values)
        wanted = [field for field in (*self.required, "messages_en") if self.columns[field] in faulty]
        check_required_columns(source.name, wanted, self.columns, columns)
        self.columns_seen |= columns

    def _check(self, record: Record, file: str, stem: str) -> tuple[Row | None, list[tuple[str, str]]]:
        """The row, or its faults as (field, message)."""
        values = record.values
        if record.fault:
            return None, [("", record.fault)]
        if not isinstance(values, dict):
            return None, [("", f"is {type_name(values)}, must be an object with {', '.join(self.required)}")]
        fields: dict[str, Any] = {name: values.get(self.columns[name]) for name in ("id", "language")}
        if fields["language"] is None:
            fields["language"] = self.language or UNKNOWN_LANGUAGE
        if fields["id"] is None:
            fields["id"] = f"{stem}:{record.number}"
        elif (number := whole_number(fields["id"])) is not None:
            fields["id"] = str(number)
        texts = texts_of(values, self.columns)
        english = with_same_system(self._english_side(values, fields, texts), texts)
        for name, side in (("", texts), ("_en", english)):
            fields |= {
                f"{field}{name}": getattr(side, field) for field in ("instruction", "output", "history")
            }
        faults = [*texts.faults, *english.faults] or self._faults(values, fields)
        if is_blank(fields["instruction_en"]):
            fields |= {"instruction_en": "", "history_en": ()}
        if is_blank(fields["output"]):
            fields["output"] = ""
        return (None, faults) if faults else (Row(**fields, file=file, number=record.number), [])

    def _english_side(self, values: Mapping[str, Any], fields: Mapping[str, Any], texts: Texts) -> Texts:
        """The texts of a row's English parallel: its own columns', those of a row elsewhere, or its own."""
        english = texts_of(values, self.columns, "_en")
        missing = is_blank(english.instruction) and not english.faults
        if missing and is_english(fields["language"]):
            return texts._replace(output=english.output, faults=[])
        if self.parallels is not None and not is_english(fields["language"]):
            return self._parallel(fields["id"], english, missing)
        column, has_input = self.columns["input_en"], not is_blank(values.get(self.columns["input"]))
        translated = not is_blank(values.get(column)) or messages_in(values, self.columns, "_en")
        if has_input and not (missing or translated):
            if "instruction_en" not in self.required:
                return english._replace(instruction=None)
            english.faults.append((column, "is missing: the row's input has no English translation"))
        if missing and "instruction_en" in self.required and messages_in(values, self.columns):
            english.faults.append(
                (self.columns["messages_en"], "is missing: the row has no English translation")
            )
        return english

    def _parallel(self, id: Any, english: Texts, missing: bool) -> Texts:
        """The English side that a row of `parallels` holds, as one without text where there is a fault."""
        assert self.parallels is not None
        parallel = self.parallels.get(id) if isinstance(id, str) else None
        if missing and parallel is not None:
            return Texts(parallel.history, parallel.instruction, parallel.output or None, [])
        if "instruction_en" not in self.required and missing:
            return english
        fault = (
            f"{id!r:.60} is the id of no row that english= names"
            if missing
            else "the row has an English side of its own, and english= names another: leave one of them out"
        )
        return Texts((), None, None, [(self.columns["id"], fault)])

    def _faults(self, values: Mapping[str, Any], fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The faults of a row's fields, as (column, message)."""
        required = self.required
        left_out = [field for field in REQUIRED if field not in required and is_blank(fields[field])]
        faults = [
            (self.columns[field], fault)
            for field in (*REQUIRED, *OPTIONAL)
            if field not in left_out
            and (fault := field_fault(field, fields[field], self.columns[field] in values, required))
        ]
        column = messages_in(values, self.columns)
        if column and fields["output"] is None and "output" in required:
            faults = [(column, "ends with a message of the user: the response is missing")]
        column = column or self.columns["system"]
        if not self.conversations and (fields["history"] or fields["history_en"]):
            faults.append((column, _ONE_TURN))
        roles = {side: [message.role for message in fields[side]] for side in ("history", "history_en")}
        if not is_blank(fields["instruction_en"]) and roles["history"] != roles["history_en"]:
            sides = (", ".join(names) or "nothing" for names in roles.values())
            faults.append((column, "{} before the instruction, and {} in English".format(*sides)))
        own, english = ((fields[f"instruction{side}"], fields[f"history{side}"]) for side in ("", "_en"))
        if not faults and "output" in left_out and "instruction_en" in required and own == english:
            faults = [(self.columns["output"], _TRAINS_NOTHING)]
        return faults

    def _duplicates(self, row: Row) -> Iterator[tuple[str, str]]:
        if self.unique is not None and self.count > self.unique:
            return
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
        of_rows = {*self.columns.values(), *(messages_in(values, self.columns, side) for side in ("", "_en"))}
        for key, value in lists.items():
            if value and all(isinstance(item, dict) for item in value) and key not in of_rows:
                raise DataError(f"{file} is one object with rows inside of {key!r}: {ONE_OBJECT}")
        if len(lists.keys() & {self.columns[field] for field in REQUIRED}) > 1:
            raise DataError(f"{file} is one object with a list for each column: {ONE_OBJECT}")


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
