"""Upper bounds by chance: the same answers, judged by the gold answers of other questions.

With three labels to name, pairs that name all of them reach an upper bound of 1 on any question without
knowing anything. Judged by another question's gold answer, what a grid answers knows nothing of it, so the
share of questions that are answered all the same is what the number and variety of tries give by chance.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.random import Generator

from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.measures.bounds import answered
from cctuning.evaluation.items.item import Item
from cctuning.stats.bootstrap import Array, generator
from cctuning.stats.estimates import Estimates, Resampling

ROUNDS = 5  # other questions that judge each question's answers

ScoreFunction = Callable[[str, Item], float]  # of a metric: 1 is right


def right_by_chance(
    grid: Grid, items: Sequence[Item], score: ScoreFunction, random: Generator, rounds: int = ROUNDS
) -> Array:
    """Of `rounds` other questions, the share whose gold answer is among a question's answers: (Q,).

    `items` are the grid's questions in its order. Other questions are those so many places further on; how
    many is drawn. With fewer other questions than `rounds` it is all of them; with none, NaN.
    """
    count = len(items)
    shifts = random.permutation(np.arange(1, count))[:rounds]
    if not len(shifts):
        return np.full(count, np.nan)
    hits = np.zeros(count)
    for question, texts in enumerate(grid.texts):
        answers = [texts[place] for place in np.unique(grid.cells.text[question])]
        for shift in shifts:
            other = items[(question + shift) % count]
            hits[question] += any(math.isclose(score(answer, other), 1.0) for answer in answers)
    return hits / len(shifts)


def measure_chance(
    grids: Mapping[str, Grid],
    items: Mapping[str, Sequence[Item]],
    score: ScoreFunction,
    resampling: Resampling,
    seed: int,
) -> dict[str, Estimates]:
    """By language the mean of `right_by_chance`, `chance_bound`, and how far the upper bound is above it.

    `bound_over_chance` is the difference of the two, question by question, from -1 to 1.

    Raises `ValueError` where the items are not those of a grid.
    """
    by_chance = {}
    for language, grid in grids.items():
        if tuple(str(item.id) for item in items[language]) != grid.questions:
            raise ValueError(f"{grid.benchmark} in {language}: the items are not the questions of the grid")
        random = generator(seed, grid.benchmark, "chance")  # the same shifts in all languages
        by_chance[language] = right_by_chance(grid, items[language], score, random)
    defined = {language: ~np.isnan(shares) for language, shares in by_chance.items()}
    above = {language: answered(grids[language]) - shares for language, shares in by_chance.items()}
    return {
        name: resampling.estimate(
            {language: np.nan_to_num(values) for language, values in scores.items()}, defined, limits=None
        )
        for name, scores in (("chance_bound", by_chance), ("bound_over_chance", above))
    }
