"""Folds of question ids, for cross-validation."""

from collections.abc import Iterable

from numpy.random import Generator


def folds(ids: Iterable[str], count: int, random: Generator) -> list[set[str]]:
    """The ids in `count` parts of like size, or fewer where there are fewer ids.

    An id is in one part, and so are the questions of all languages that have it: they are the same question.
    """
    every = sorted(set(ids))
    drawn = [every[place] for place in random.permutation(len(every))]
    return [set(drawn[start::count]) for start in range(min(count, len(every)))]
