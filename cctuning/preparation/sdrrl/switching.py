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


def switch_words(text: Switchable, *, share: float, rng: random.Random) -> list[str] | None:
    """The pieces of a text with `share` of its words exchanged, at least one, or as many as can be.

    None where none can be.

    A word is not exchanged where it would run into its neighbour: nothing is added to keep them apart.
    """
    wanted = max(round(share * len(word_places(text.pieces))), 1)
    order = sorted(text.exchanges)
    rng.shuffle(order)
    pieces = list(text.pieces)
    exchanged = 0
    for place in order:
        if exchanged == wanted:
            break
        around = pieces[max(place - 1, 0) : place + 2]
        around[min(place, 1)] = text.exchanges[place]
        if not run_together(around):
            pieces[place] = text.exchanges[place]
            exchanged += 1
    return pieces if exchanged else None
