"""Each transplant against the model as it is, question by question: won, tied or lost."""

from collections.abc import Callable, Mapping

import numpy as np

from cctuning.analysis.cells.grid import Grid, each
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling, ScoreArray


def gains(grid: Grid) -> Array:
    """1 where a transplant is right and the original wrong, -1 the other way round, else 0: (Q, L, L)."""
    return grid.cells.correct.astype(float) - grid.target.correct[:, None, None]


def measure_outcomes(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Outcomes of a benchmark by quantity and language; `grids` by language.

    `win`, `tie`, `lose`: the shares of answers, over all questions and pairs, that are right where the
    original is wrong, as right or wrong as it, and wrong where it is right. `accuracy`: the average over all
    pairs; `gain`: that less the original's, win - lose. `_by_source_layer`, `_by_target_layer`: over the
    pairs with that layer, (L,). `_by_pair`: (L, L). `pairs_better`, `pairs_equal`, `pairs_worse`: the shares
    of pairs whose accuracy is above, at and below the original's.
    """
    means_over_pairs: dict[str, Callable[[Grid], ScoreArray]] = {
        "win": lambda grid: (gains(grid) > 0).mean((1, 2)),
        "tie": lambda grid: (gains(grid) == 0).mean((1, 2)),
        "lose": lambda grid: (gains(grid) < 0).mean((1, 2)),
        "accuracy": lambda grid: grid.cells.correct.mean((1, 2)),
        "gain": lambda grid: gains(grid).mean((1, 2)),
        "gain_by_source_layer": lambda grid: gains(grid).mean(2),
        "gain_by_target_layer": lambda grid: gains(grid).mean(1),
    }
    estimates = {
        name: resampling.estimate(each(measure, grids), limits=None)
        for name, measure in means_over_pairs.items()
    }
    estimates["gain_by_pair"] = resampling.estimate(
        each(gains, grids), limits=(-1.0, 1.0), resamples=PAIR_RESAMPLES
    )
    # By pair, whether it answers more (1), as many (0) or fewer (-1) questions than the original.
    signs = each(lambda grid: np.sign(grid.cells.correct.sum(0) - grid.target.correct.sum()), grids)
    for name, sign in [("pairs_better", 1), ("pairs_equal", 0), ("pairs_worse", -1)]:
        shares = {language: float((of_pairs == sign).mean()) for language, of_pairs in signs.items()}
        estimates[name] = resampling.described(shares)
    return estimates
