"""The Aya data set, as its authors publish it: prompts and responses with a language, in 65 languages."""

from collections.abc import Iterator
from dataclasses import dataclass

import langcodes

from cctuning.data.fields import is_blank, is_language_code, is_unicode, stripped
from cctuning.data.formats import DataError
from cctuning.data.sources import find_sources
from cctuning.settings.near_matches import did_you_mean

AYA = "CohereForAI/aya_dataset"
COLUMNS = ("inputs", "targets", "language_code")

# What langcodes leaves as it is, and stands in no table of languages.
_VARIETIES = {"pbt": "ps"}
# The data set writes both with one code, and says which it is in `language`.
_CHINESE = {"simplified chinese": "zh-Hans", "traditional chinese": "zh-Hant"}


@dataclass(frozen=True)
class AyaRow:
    """A row of Aya."""

    number: int  # in the data set, from 1
    prompt: str
    response: str
    language: str  # BCP 47


def read_aya(source: str, *, split: str = "train") -> Iterator[AyaRow | None]:
    """The rows of Aya: the hub's data set, or a copy of it as files; None for one without text or language.

    Raises `DataError` for a source that cannot be read, or lacks a column.
    """
    number = 0
    for part in find_sources([source], split=split):
        for record in part.records():
            number += 1
            if record.fault or not isinstance(record.values, dict):
                yield None
                continue
            if missing := [column for column in COLUMNS if column not in record.values]:
                columns = ", ".join(record.values)
                hint = did_you_mean(missing[0], record.values)
                raise DataError(f"{part.name} is not Aya: no column {missing[0]!r}{hint}; it has {columns}")
            yield _row(number, record.values)


def language_of(code: str, name: str | None = None) -> str | None:
    """Our code of one of Aya's (ISO 639-3, and the name it gives the language); None where it is none.

    Varieties become the language that they are of where that is the macrolanguage's usual one (arb is ar, swh
    is sw); others keep their own code (arz, ary).
    """
    if (chinese := _CHINESE.get((name or "").strip().lower())) is not None:
        return chinese
    code = _VARIETIES.get(code, code)
    return langcodes.standardize_tag(code, macro=True) if is_language_code(code) else None


def _row(number: int, values: dict[str, object]) -> AyaRow | None:
    prompt, response, code, name = (values.get(column) for column in (*COLUMNS, "language"))
    if not (isinstance(prompt, str) and isinstance(response, str) and isinstance(code, str)):
        return None
    if any(is_blank(text) or not is_unicode(text) for text in (prompt, response)):
        return None
    language = language_of(code, name if isinstance(name, str) else None)
    return AyaRow(number, stripped(prompt), stripped(response), language) if language else None
