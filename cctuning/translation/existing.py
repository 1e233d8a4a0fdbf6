"""Translations that exist already, in a file: those of a data set, of people, or of another service."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cctuning.fields import is_blank, is_english, type_name
from cctuning.sources import find_sources
from cctuning.translation.translator import TranslationError, Untranslated

# Columns with a text and its translation, in the order in which they are looked for.
_PAIRS = (("text", "translation"), ("instruction", "instruction_en"), ("prompt", "prompt_en"))


class ExistingTranslations:
    """A file of translations as a translator: a text is looked up, blanks around it apart.

    It is read as JSON lines, JSON or Parquet (also gzipped), or as tab-separated text with a line of names.
    The columns are `text` and `translation`, or those of our rows and benchmark files (`instruction` and
    `instruction_en`, `prompt` and `prompt_en`), or `columns`. A translation column that ends in `_en` holds
    English. Where a text is there twice, its first translation counts.

    Raises `DataError` for a file that cannot be read, and `TranslationError` where it lacks the columns.
    """

    def __init__(self, path: str | Path, *, columns: tuple[str, str] | None = None) -> None:
        self._path = Path(path)
        self._translations: dict[str, str] = {}
        self._columns = columns
        for number, values in _records(self._path):
            text, translation = self._pair(number, values)
            if not (is_blank(text) or is_blank(translation)):
                self._translations.setdefault(text.strip(), translation)
        if self._columns is None:
            raise TranslationError(f"{path} holds no rows")
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.name = f"file:{self._path.name}@{digest[:12]}:{':'.join(self._columns)}"

    def __len__(self) -> int:
        return len(self._translations)

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str | Untranslated]:
        """As `Translator.translate`; the source language is not looked at."""
        assert self._columns is not None
        if self._columns[1].endswith("_en") and not is_english(target):
            raise TranslationError(
                f"{self._path}: {self._columns[1]!r} holds English, and {target} was asked for"
            )
        missing = Untranslated(f"is not in {self._path.name}")
        return [self._translations.get(text.strip(), missing) for text in texts]

    def _pair(self, number: int, values: dict[str, Any]) -> tuple[str, str]:
        if self._columns is None:
            self._columns = next((pair for pair in _PAIRS if values.keys() >= set(pair)), None)
        if self._columns is None or not values.keys() >= set(self._columns):
            wanted = [self._columns] if self._columns else _PAIRS
            raise TranslationError(
                f"{self._path}, row {number}: it must have the columns "
                f"{', or '.join(' and '.join(pair) for pair in wanted)}, and has {', '.join(values)}"
            )
        for column in self._columns:
            if values[column] is not None and not isinstance(values[column], str):
                raise TranslationError(
                    f"{self._path}, row {number}, {column}: is {type_name(values[column])}, must be text"
                )
        return values[self._columns[0]], values[self._columns[1]]


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() == ".tsv":
        yield from _tab_separated(path)
        return
    [source] = find_sources([str(path)])
    for record in source.records():
        if record.fault or not isinstance(record.values, dict):
            fault = record.fault or f"is {type_name(record.values)}, must be an object"
            raise TranslationError(f"{path}, row {record.number}: {fault}")
        yield record.number, record.values


def _tab_separated(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", strict=True)
            for values in reader:
                if None in values or None in values.values():
                    raise TranslationError(
                        f"{path}, line {reader.line_num}: must have {len(reader.fieldnames or [])} columns, "
                        "as the first line has"
                    )
                yield reader.line_num, values
    except (UnicodeDecodeError, csv.Error) as error:
        raise TranslationError(f"{path} is no tab-separated UTF-8 text: {error}") from error
