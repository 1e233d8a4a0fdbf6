"""Draw of base rows for each kind of added row."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cctuning.data.fields import is_english
from cctuning.data.rows import Row

# The kinds, and how many rows of each are added for one base row: 0.4 in all, so that N base rows and what is
# added are 1.4 N.
SHARES: Mapping[str, float] = {
    "english": 0.08,
    "target": 0.08,
    "cross": 0.08,
    "switched_prompt": 0.05,
    "switched_response": 0.05,
    "partial_translation": 0.03,
    "completion": 0.03,
}

Serves = Callable[[str, Row], bool]  # whether a row can serve a kind


@dataclass(frozen=True, slots=True)
class Pick:
    """A base row that is to become a row of some kind."""

    kind: str
    row: Row
    english_first: bool  # of the kinds with two directions, the one whose prompt is (mostly) English


@dataclass(frozen=True, slots=True)
class Shortage:
    """A kind for which a language has too few rows that can serve it."""

    language: str
    kind: str
    wanted: int
    drawn: int


def draw(
    rows: Sequence[Row], shares: Mapping[str, float], serves: Serves, *, seed: int
) -> tuple[list[Pick], list[Shortage]]:
    """Draws for each language and kind `shares[kind]` times as many rows as the language has.

    The rows of a language are shuffled once, and each kind takes the next ones that can serve it, from the
    start again where they end: mostly no row is taken twice. Of English rows, the kind `english` alone is
    made, and in all languages together it takes no English prompt twice.
    """
    by_language: dict[str, list[Row]] = {}
    for row in rows:
        by_language.setdefault(row.language, []).append(row)
    picks: list[Pick] = []
    short: list[Shortage] = []
    in_english: set[str] = set()  # English prompts that are taken, and the ids of their items
    for language in sorted(by_language):
        of_language = by_language[language]
        random.Random(f"{seed}:draw:{language}").shuffle(of_language)
        start = 0
        for kind, share in shares.items():
            if is_english(language) and kind != "english":
                continue
            wanted = round(share * len(of_language))
            drawn: list[Row] = []
            place = start % len(of_language)
            for row in [*of_language[place:], *of_language[:place]]:
                if len(drawn) == wanted:
                    break
                start += 1
                same = {row.instruction_en, row.id} if kind == "english" else set()
                if serves(kind, row) and not same & in_english:
                    drawn.append(row)
                    in_english |= same
            picks += [Pick(kind, row, english_first=bool(place % 2)) for place, row in enumerate(drawn)]
            if len(drawn) < wanted:
                short.append(Shortage(language, kind, wanted, len(drawn)))
    return picks, short
