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
class ChosenPair:
    """The pair of a strategy, and how much its choice says."""

    pair: LayerPair
    candidates: int  # pairs that it was chosen from
    tied: int  # of those, how many answer as many pilot questions as it does; all of them: nothing is chosen
    chosen_again: float  # share of draws of the pilot questions, with replacement, in which it is chosen too


def choices(grid: Grid, random: Generator, resamples: int = PAIR_RESAMPLES) -> dict[str, ChosenPair]:
    """The choice of each strategy from a pilot grid, with its ties and its stability under resampling."""
    correct = grid.cells.correct
    drawn = resampled_means(correct.reshape(len(correct), -1).astype(float), random, resamples)
    by_strategy = {}
    for name, allowed in _allowed(grid.layers).items():
        pairs = _by_preference(allowed)
        places = [source * grid.layers + target for source, target in pairs]
        right = correct.reshape(len(correct), -1).sum(0)[places]
        best = int(right.argmax())
        # Sums of the same answers in another order may differ in their last digits.
        again = np.round(drawn[:, places] * len(correct)).argmax(1) == best
        tied = int((right == right.max()).sum())
        by_strategy[name] = ChosenPair(pairs[best], len(pairs), tied, float(again.mean()))
    return by_strategy


def _allowed(layers: int) -> dict[str, NDArray[np.bool_]]:
    """The pairs that each strategy may choose: (L, L)."""
    source, target = np.indices((layers, layers))
    everywhere = np.ones((layers, layers), dtype=bool)
    return {OVERALL: everywhere, SOURCE_LAST: source == layers - 1, TARGET_FIRST: target == 0}


def _by_preference(allowed: NDArray[np.bool_]) -> list[LayerPair]:
    """The allowed pairs in the order in which equally good ones are taken, as the authors' ApplyExp does.

    The one with the lowest target layer comes first, and of those the one with the highest source layer.
    """
    return sorted(((i, j) for i, j in np.argwhere(allowed).tolist()), key=lambda pair: (pair[1], -pair[0]))


def choose(grid: Grid) -> dict[str, LayerPair]:
    """The pair of each strategy, from a pilot grid.

    `overall` is the best of all pairs, `source_last` the best from the last source layer (i = L - 1),
    `target_first` the best into the first target layer (j = 0). Ties: see `best_pair`.
    """
    right = grid.cells.correct.sum(0)
    return {name: best_pair(right, allowed) for name, allowed in _allowed(grid.layers).items()}


def best_pair(scores: NDArray[Any], allowed: NDArray[np.bool_] | None = None) -> LayerPair:
    """The place of the highest of the allowed scores, (L, L); of equal ones the first by preference."""
    pairs = _by_preference(np.ones_like(scores, dtype=bool) if allowed is None else allowed)
    return max(pairs, key=scores.__getitem__)


def measure_strategies(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Accuracy of each strategy, and of the original, on the very pilot questions that it was chosen on.

    The best of L² pairs on few questions flatters itself, and the intervals, those of a fixed pair, do not
    know of the choice: what a strategy is worth is seen on unseen questions (`unseen`). `_spread` is the
    standard deviation over languages.
    """
    accuracies = {"original": resampling.estimate(each(lambda grid: grid.target.correct, grids))}
    pairs = each(choose, grids)
    for name in STRATEGIES:
        accuracies[name] = resampling.estimate(
            {language: grid.cells.correct[:, *pairs[language][name]] for language, grid in grids.items()}
        )
    return accuracies | {f"{name}_spread": spread(estimates) for name, estimates in accuracies.items()}
