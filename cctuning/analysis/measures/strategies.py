"""The papers' strategies: one layer pair per language, chosen by its accuracy on the pilot questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.measures.estimates import Estimates, Resampling, each, spread

Pair = tuple[int, int]  # source layer, target layer

OVERALL, SOURCE_LAST, TARGET_FIRST = STRATEGIES = ("overall", "source_last", "target_first")


def choose(grid: Grid) -> dict[str, Pair]:
    """The pair of each strategy, from a pilot grid.

    `overall` is the best of all pairs, `source_last` the best from the last source layer (i = L - 1),
    `target_first` the best into the first target layer (j = 0). Ties: see `best_pair`.
    """
    right = grid.cells.correct.sum(0)
    source, target = np.indices(right.shape)
    return {
        OVERALL: best_pair(right),
        SOURCE_LAST: best_pair(right, source == grid.layers - 1),
        TARGET_FIRST: best_pair(right, target == 0),
    }


def best_pair(scores: NDArray[Any], allowed: NDArray[np.bool_] | None = None) -> Pair:
    """The place of the highest of the allowed scores, (L, L).

    Of equal ones that with the lowest target layer is taken, and of those the one with the highest source
    layer, as `find_best_index` of the authors' ApplyExp does.
    """
    scores = np.where(True if allowed is None else allowed, scores.astype(float), -np.inf)
    source, target = min(np.argwhere(scores == scores.max()).tolist(), key=lambda pair: (pair[1], -pair[0]))
    return source, target


def measure_strategies(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Accuracy of each strategy, and of the original, on the very pilot questions that it was chosen on.

    The best of L² pairs on few questions flatters itself, and the intervals, those of a fixed pair, do not
    know of the choice: what a strategy is worth is seen on unseen questions (`unseen`). `_spread` is the
    standard deviation over languages.
    """
    found = {"original": resampling.estimate(each(lambda grid: grid.target.correct, grids))}
    for name in STRATEGIES:
        found[name] = resampling.estimate(
            {language: grid.cells.correct[:, *choose(grid)[name]] for language, grid in grids.items()}
        )
    return found | {f"{name}_spread": spread(estimates) for name, estimates in found.items()}
