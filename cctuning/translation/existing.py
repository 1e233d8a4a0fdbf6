"""Translations that exist already, in a file: those of a data set, of people, or of another service."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from cctuning.data.fields import (
    NO_LANGUAGE_CODE,
    UNKNOWN_LANGUAGE,
    is_blank,
    is_english,
    is_language_code,
    shown,
    stripped,
    type_name,
)
from cctuning.data.formats import DataError
from cctuning.data.sources import find_sources
from cctuning.tools.files import sha256
from cctuning.translation.languages import find_language
from cctuning.translation.translator import TranslationError, Untranslated


class _Key(NamedTuple):
    """Key to find a translation by; a language is None where its row says none."""

    text: str
    source: str | None
    target: str | None


# Columns with a text and its translation, in the order in which they are looked for.
_PAIRS = (("text", "translation"), ("instruction", "instruction_en"), ("prompt", "prompt_en"))


class ExistingTranslations:
    """A file of translations as a translator: a text is looked up, blanks around it apart.

    It is read as JSON lines, JSON, Parquet, or CSV or TSV with a line of names.
    The columns are `text` and `translation`, or those of our rows and benchmark files (`instruction` and
    `instruction_en`, `prompt` and `prompt_en`), or `columns`. A translation column that ends in `_en` holds
    English. A row may say the language of its text in `language`, or of its translation where the text's
    column ends in `_en`; beside `text` and `translation` also in `source` and `target`. It serves these
    languages alone, and a row that says none serves all. Of the rows that fit, those that say more come
    first, and of two alike the first counts.

    Raises `DataError` for a file that cannot be read, and `TranslationError` where it lacks the columns.
    """

    def __init__(self, path: str | Path, *, columns: tuple[str, str] | None = None) -> None:
        self._path = Path(path)
        self._translations: dict[_Key, str] = {}
        self._columns = columns
        if self._path.is_dir():
            raise DataError(f"{path} is a folder: name a file of translations")
        for number, values in _records(self._path):
            text, translation = self._pair(number, values)
            if not (is_blank(text) or is_blank(translation)):
                key = _Key(stripped(text), *self._languages(number, values))
                self._translations.setdefault(key, stripped(translation))
        if self._columns is None:
            raise TranslationError(f"{path} holds no rows")
        self.name = f"file:{self._path.name}@{sha256(self._path)[:12]}:{':'.join(self._columns)}"

    def __len__(self) -> int:
        return len(self._translations)

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str | Untranslated]:
        """As `Translator.translate`."""
        assert self._columns is not None
        if self._columns[1].endswith("_en") and not is_english(target):
            raise TranslationError(
                f"{self._path}: {self._columns[1]!r} holds English, and {target} was asked for"
            )
        missing = Untranslated(f"is not in {self._path.name}")
        into, out_of = (find_language(target).code, None), (find_language(source).code, None)
        results: list[str | Untranslated] = []
        for text in texts:
            keys = (_Key(stripped(text), *languages) for languages in product(out_of, into))
            results.append(
                next((self._translations[key] for key in keys if key in self._translations), missing)
            )
        return results

    def _languages(self, number: int, values: dict[str, Any]) -> tuple[str | None, str | None]:
        """The languages of a row's text and translation, None where it does not say them."""
        language = self._code(number, "language", values)
        assert self._columns is not None
        if self._columns == _PAIRS[0]:
            return self._code(number, "source", values) or language, self._code(number, "target", values)
        return (None, language) if self._columns[0].endswith("_en") else (language, None)

    def _code(self, number: int, column: str, values: dict[str, Any]) -> str | None:
        value = values.get(column)
        if value is None or value in ("", UNKNOWN_LANGUAGE):
            return None
        place = f"{self._path}, row {number}, {column}"
        if not isinstance(value, str):
            raise TranslationError(f"{place}: is {type_name(value)}, must be text")
        if not is_language_code(value):
            raise TranslationError(f"{place}: {shown(value)} {NO_LANGUAGE_CODE}")
        try:
            return find_language(value).code
        except TranslationError:  # a language that nobody can ask for
            return value

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
    [source] = find_sources([str(path)])
    for record in source.records():
        if record.fault or not isinstance(record.values, dict):
            fault = record.fault or f"is {type_name(record.values)}, must be an object"
            raise TranslationError(f"{path}, row {record.number}: {fault}")
        yield record.number, record.values
