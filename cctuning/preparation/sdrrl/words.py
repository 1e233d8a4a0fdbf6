"""Words in the text of any script, so that one of them can be exchanged and all else stays as it is."""

from collections.abc import Sequence
from itertools import pairwise

import regex

from cctuning.tools.extras import extra

_LETTER = regex.compile(r"\p{L}")
_WORD = regex.compile(r"[\p{L}\p{N}]")
# Scripts that are written without blanks between words: their characters join nothing.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


def split_pieces(text: str) -> list[str]:
    """`text` cut by ICU into words and what lies between them; joined, the pieces are `text`.

    Scores count words that need no dictionary (`evaluation.scoring`): single characters in Chinese or Thai.
    To be exchanged, a word has to be known whole, and ICU has dictionaries for Chinese, Japanese, Thai, Lao,
    Khmer and Burmese. Raises `ImportError` where the extra `preparation` is not installed.
    """
    with extra("preparation"):
        from icu4py.breakers import WordBreaker
    return list(WordBreaker(text, "und"))


def word_places(pieces: Sequence[str]) -> list[int]:
    """The places of the pieces that are words: those with a letter or a digit."""
    return [place for place, piece in enumerate(pieces) if _WORD.search(piece)]


def has_letter(word: str) -> bool:
    """Whether a word is more than a number."""
    return _LETTER.search(word) is not None


def with_case_of(word: str, model: str) -> str:
    """`word` with a capital at its start where `model` has one."""
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def run_together(pieces: Sequence[str]) -> bool:
    """Whether two neighbours would be read as one word, since both have letters or digits at the seam."""
    return any(left and right and _joins(left[-1]) and _joins(right[0]) for left, right in pairwise(pieces))


def _joins(character: str) -> bool:
    return _WORD.match(character) is not None and _UNSPACED.match(character) is None
