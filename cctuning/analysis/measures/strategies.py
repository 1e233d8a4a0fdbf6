"""The papers' strategies: one layer pair per language, chosen by its accuracy on the pilot questions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cctuning.analysis.cells.grid import Grid, LayerPair, each
from cctuning.stats.bootstrap import resampled_means
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling, spread

OVERALL, SOURCE_LAST, TARGET_FIRST = STRATEGIES = ("overall", "source_last", "target_first")


@dataclass(frozen=True)
class Choice:
    """The pair of a strategy, and how much its choice says."""

    pair: LayerPair
    candidates: int  # pairs that it was chosen from
    tied: int  # of those, how many answer as many pilot questions as it does; all of them: nothing is chosen
    chosen_again: float  # share of draws of the pilot questions, with replacement, in which it is chosen too


def choices(grid: Grid, random: Generator, resamples: int = PAIR_RESAMPLES) -> dict[str, Choice]:
    """The choice of each strategy from a pilot grid, with its ties and its stability under resampling."""
    correct = grid.cells.correct
    drawn = resampled_means(correct.reshape(len(correct), -1).astype(float), random, resamples)
    chosen, found = choose(grid), {}
    for name, allowed in _allowed(grid.layers).items():
        pairs = sorted(((i, j) for i, j in np.argwhere(allowed).tolist()), key=_preference)
        places = [source * grid.layers + target for source, target in pairs]
        right = correct.reshape(len(correct), -1).sum(0)[places]
        best = pairs.index(chosen[name])
        # Sums of the same answers in another order may differ in their last digits.
        again = np.round(drawn[:, places] * len(correct)).argmax(1) == best
        tied = int((right == right.max()).sum())
        found[name] = Choice(pairs[best], len(pairs), tied, float(again.mean()))
    return found


def _allowed(layers: int) -> dict[str, NDArray[np.bool_]]:
    """The pairs that each strategy may choose: (L, L)."""
    source, target = np.indices((layers, layers))
    everywhere = np.ones((layers, layers), dtype=bool)
    return {OVERALL: everywhere, SOURCE_LAST: source == layers - 1, TARGET_FIRST: target == 0}


def _preference(pair: LayerPair) -> LayerPair:
    """The order of pairs that are equally good."""
    return pair[1], -pair[0]


def choose(grid: Grid) -> dict[str, LayerPair]:
    """The pair of each strategy, from a pilot grid.

    `overall` is the best of all pairs, `source_last` the best from the last source layer (i = L - 1),
    `target_first` the best into the first target layer (j = 0). Ties: see `best_pair`.
    """
    right = grid.cells.correct.sum(0)
    return {name: best_pair(right, allowed) for name, allowed in _allowed(grid.layers).items()}


def best_pair(scores: NDArray[Any], allowed: NDArray[np.bool_] | None = None) -> LayerPair:
    """The place of the highest of the allowed scores, (L, L).

    Of equal ones that with the lowest target layer is taken, and of those the one with the highest source
    layer, as `find_best_index` of the authors' ApplyExp does.
    """
    scores = np.where(True if allowed is None else allowed, scores.astype(float), -np.inf)
    return min(((i, j) for i, j in np.argwhere(scores == scores.max()).tolist()), key=_preference)


def measure_strategies(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Accuracy of each strategy, and of the original, on the very pilot questions that it was chosen on.

    The best of L² pairs on few questions flatters itself, and the intervals, those of a fixed pair, do not
    know of the choice: what a strategy is worth is seen on unseen questions (`unseen`). `_spread` is the
    standard deviation over languages.
    """
    found = {"original": resampling.estimate(each(lambda grid: grid.target.correct, grids))}
    pairs = each(choose, grids)
    for name in STRATEGIES:
        found[name] = resampling.estimate(
            {language: grid.cells.correct[:, *pairs[language][name]] for language, grid in grids.items()}
        )
    return found | {f"{name}_spread": spread(estimates) for name, estimates in found.items()}
