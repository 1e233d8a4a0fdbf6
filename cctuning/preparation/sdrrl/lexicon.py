"""A bilingual lexicon: what English words mean in another language, from a file like MUSE's dictionaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cctuning.preparation.sdrrl.switching import ParallelText, Switchable
from cctuning.preparation.sdrrl.words import split_pieces, with_case_of, word_places


class LexiconError(ValueError):
    """A lexicon that cannot be read."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Word pairs in both directions, without differences of case."""

    from_english: Mapping[str, str]
    to_english: Mapping[str, str]

    def switchable(self, text: ParallelText) -> tuple[Switchable, Switchable]:
        """The English text and the other one; what they have in common does not matter."""
        english, other = split_pieces(text.english), split_pieces(text.other)
        return _looked_up(english, self.from_english), _looked_up(other, self.to_english)


def _looked_up(pieces: Sequence[str], words: Mapping[str, str]) -> Switchable:
    entries = ((place, words.get(pieces[place].casefold())) for place in word_places(pieces))
    return Switchable(pieces, {place: with_case_of(word, pieces[place]) for place, word in entries if word})


def read_lexicon(path: str | Path) -> Lexicon:
    """Reads lines of an English word, a tab or blank, and its translation; of several, the first one counts.

    Pairs of equal words are left out. Raises `LexiconError` with the line, and `OSError`.
    """
    path = Path(path)
    from_english: dict[str, str] = {}
    to_english: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise LexiconError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8") from error
    for number, line in enumerate(lines, start=1):
        words = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        if len(words) != 2 or not all(word.strip() for word in words):
            raise LexiconError(f"{path}, line {number}: must be an English word, a tab and its translation")
        english, other = (word.strip() for word in words)
        if english.casefold() != other.casefold():
            from_english.setdefault(english.casefold(), other)
            to_english.setdefault(other.casefold(), english)
    if not from_english:
        raise LexiconError(f"{path} holds no pairs of words")
    return Lexicon(from_english, to_english)
