"""Code-switching: words of a text exchanged for words of the other language; all else stays as it is."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cctuning.preparation.sdrrl.words import run_together, word_places


class ParallelText(NamedTuple):
    """A text in English and in another language."""

    english: str
    other: str


@dataclass(frozen=True, slots=True)
class Switchable:
    """A text, and what its words can be exchanged for."""

    pieces: Sequence[str]  # joined, they are the text
    exchanges: Mapping[int, str]  # the place of a word among the pieces -> a word of the other language


@dataclass(frozen=True, slots=True)
class Switched:
    """A text in which words were exchanged, as pieces, and the words that stood there before."""

    pieces: Sequence[str]
    before: Mapping[int, str]

    @property
    def text(self) -> str:
        """The code-switched text."""
        return "".join(self.pieces)

    @property
    def original(self) -> str:
        """The text with all words exchanged back."""
        return "".join(self.before.get(place, piece) for place, piece in enumerate(self.pieces))


def switch_words(text: Switchable, *, share: float, rng: random.Random) -> Switched | None:
    """Exchanges `share` of a text's words, at least one, or as many as can be; None where none can be.

    A word is not exchanged where it would run into its neighbour: nothing is added to keep them apart.
    """
    wanted = max(round(share * len(word_places(text.pieces))), 1)
    order = sorted(text.exchanges)
    rng.shuffle(order)
    pieces = list(text.pieces)
    before: dict[int, str] = {}
    for place in order:
        if len(before) == wanted:
            break
        around = pieces[max(place - 1, 0) : place + 2]
        around[min(place, 1)] = text.exchanges[place]
        if not run_together(around):
            before[place], pieces[place] = pieces[place], text.exchanges[place]
    return Switched(pieces, before) if before else None
