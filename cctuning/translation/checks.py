"""Faults of a translation, as far as they show without knowing both languages."""

import re
import unicodedata

from cctuning.data.fields import is_blank
from cctuning.data.language_id import identify, language_consistency
from cctuning.translation.languages import find_language

# Characters for the same content, per script, against 1 for Latin.
_CHARACTERS = {"Hans": 0.35, "Hant": 0.35, "Jpan": 0.5, "Hang": 0.55, "Ethi": 0.7, "Hebr": 0.8, "Arab": 0.85}
_LONGER = 2.0  # times the expected length, in either direction
_SLACK = 30  # characters that are added to both lengths: short texts differ more
# Something of up to 60 characters at least four times in a row.
_LOOP = re.compile(r"(\S.{0,59}?)\1{3,}", re.DOTALL)
_LOOP_CHARACTERS = 24  # shorter repetitions are laughter, dots and the like
_WORD = re.compile(r"[^\W\d_]+")
_MIN_CONFIDENCE = 0.3  # of the identification of another language: of texts left as they were, 95 % are found


def faults(text: str, translation: str, *, source: str, target: str) -> list[str]:
    """The faults of `translation`, each in a few words; empty for none.

    - `is empty`;
    - `is copied`: the text itself, unless it holds only names, numbers and signs;
    - `repeats ...`: something four times in a row, where the text has nothing of the kind;
    - `is N times as long as expected`, by the scripts' usual number of characters, in either direction;
    - `is in xx`: another language than `target`, where the text is long enough to tell.
    """
    if is_blank(translation):
        return ["is empty"]
    if not _WORD.search(text):
        return []
    if _folded(text) == _folded(translation):
        return [] if _only_names(text, source, target) else ["is copied"]
    candidates = [_loop(text, translation), _length(text, translation, source, target)]
    return [fault for fault in (*candidates, _language(translation, target)) if fault]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _only_names(text: str, source: str, target: str) -> bool:
    """Whether a text may be the same in both languages: one word, or only capitalised ones, in one script."""
    if find_language(source).script != find_language(target).script and not text.isascii():
        return False
    words = [word for word in text.split() if _WORD.search(word)]
    plain = [word for word in words if _WORD.fullmatch(word.strip(".,;:!?()\"'")) and word[0].islower()]
    return len(words) == 1 or not plain


def _loop(text: str, translation: str) -> str | None:
    loop = _repeated(translation)
    return f"repeats {loop[:20].strip()!r}" if loop and not _repeated(text) else None


def _repeated(text: str) -> str | None:
    """The stretch that a text has four times in a row or more."""
    repeats = (match[1] for match in _LOOP.finditer(text) if len(match[0]) >= _LOOP_CHARACTERS)
    return next(repeats, None)


def _length(text: str, translation: str, source: str, target: str) -> str | None:
    expected = len(text) * _density(target) / _density(source)
    ratio = (len(translation) + _SLACK) / (expected + _SLACK)
    return f"is {ratio:.2g} times as long as expected" if not 1 / _LONGER <= ratio <= _LONGER else None


def _density(code: str) -> float:
    return _CHARACTERS.get(find_language(code).script, 1.0)


def _language(translation: str, target: str) -> str | None:
    if language_consistency(translation, target) != 0:  # None: it cannot be said
        return None
    [identified] = identify([translation])
    return f"is in {identified.code}" if identified.confidence >= _MIN_CONFIDENCE else None
