"""Languages: from the codes of our rows to those of translation models. The table is `languages.tsv`."""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

import langcodes

from cctuning.data.fields import NO_LANGUAGE_CODE, is_language_code, shown
from cctuning.settings.near_matches import nearest
from cctuning.translation.translator import TranslationError

_TABLE = Path(__file__).with_name("languages.tsv")


@dataclass(frozen=True)
class Language:
    """A line of the table."""

    code: str  # BCP 47
    name: str  # in English
    nllb: str  # a FLORES-200 code such as swh_Latn; "" where NLLB does not know the language
    madlad: str  # as in MADLAD-400's <2sw>; "" where it does not know the language

    @property
    def script(self) -> str:
        """Its script as four letters (ISO 15924), such as Latn."""
        tag = langcodes.Language.get(self.code)
        return self.nllb.rpartition("_")[2] or tag.maximize().script or "Zyyy"


@functools.cache
def find_language(code: str) -> Language:
    """The language of a code: `sw`, `swh`, `swh_Latn`, `pt-BR`, `zh-Hans`, `zh-TW`.

    A country counts only where it implies another script. Raises `TranslationError` for what is no code, and,
    with near ones, for a language that is not in the table.
    """
    table = _table()
    if not is_language_code(code):
        raise TranslationError(f"{shown(code)} {NO_LANGUAGE_CODE}{_near(code, [], table)}")
    for macro in (False, True):
        tag = langcodes.Language.get(langcodes.standardize_tag(code, macro=macro))
        language = table.get(str(tag.language))
        script = tag.script or (tag.maximize().script if tag.territory else None)
        if script and (of_script := table.get(f"{tag.language}-{script}")):
            return of_script
        if language and script in (None, language.script):
            return language
    same = [name for name in table if name.split("-")[0] == tag.language]
    raise TranslationError(f"{code} is no language of {_TABLE.name}{_near(code, same, table)}")


def is_known(code: str) -> bool:
    """Whether the table has the language of a code."""
    try:
        find_language(code)
    except TranslationError:
        return False
    return True


def _near(code: str, same: list[str], table: dict[str, Language]) -> str:
    """Near matches of a mistyped code: its language in other scripts, or else what is spelled alike."""
    by_name = {language.name.lower(): language.code for language in table.values()}
    spelled = by_name.get(str(nearest(code, by_name))) if len(code) > 3 else nearest(code, table)
    near = same or [name for name in [spelled] if name]
    return f"; near: {', '.join(f'{name} ({table[name].name})' for name in near)}" if near else ""


@functools.cache
def _table() -> dict[str, Language]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {row["code"]: Language(**row) for row in csv.DictReader(file, delimiter="\t")}
