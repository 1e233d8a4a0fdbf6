"""Input-output language consistency: are answers in the language that the question was asked in?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.cells.grid import Answers, Grid, each
from cctuning.data.language_id import language_consistency
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling


@dataclass(frozen=True)
class Consistency:
    """Of every answer 1 if it is in the language, 0 if not, NaN where that cannot be said."""

    cells: Array  # (Q, L, L)
    target: Array  # (Q,)


def consistency(grid: Grid) -> Consistency:
    """Whether answers are in the language that was asked in, by `cctuning.data.language_id`, each text once.

    It cannot be said of short answers, such as a label alone. Raises `ValueError` for what is no language.
    """
    known: dict[str, float | None] = {}
    for text in (text for own in grid.texts for text in own):
        if text not in known:
            known[text] = language_consistency(text, grid.asked_in)
    tables = [np.array([known[text] for text in own], float) for own in grid.texts]  # None becomes NaN

    def looked_up(answers: Answers) -> Array:
        return np.stack([table[places] for table, places in zip(tables, answers.text, strict=True)])

    return Consistency(cells=looked_up(grid.cells), target=looked_up(grid.target))


def measure_consistency(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Consistency of a benchmark by quantity and language.

    `consistency`: of all transplanted answers of which it can be said (their share is `told`) the share that
    is in the language that was asked in; `original` and `original_told`: the same of the model as it is.
    `difference`: the former less the latter, over the questions of whose original answer it can be said too.
    `_by_source_layer`, `_by_target_layer`: (L,). `_by_pair`: (L, L).
    """
    found = each(consistency, grids)
    cells = {language: own.cells for language, own in found.items()}
    target = {language: own.target for language, own in found.items()}
    # The original's is NaN, and so the difference, where it cannot be said of the original.
    changes = {language: own.cells - own.target[:, None, None] for language, own in found.items()}
    everything = (1, 2)
    return {
        "consistency": _mean_of_told(cells, everything, resampling),
        "original": _mean_of_told(target, (), resampling),
        "difference": _mean_of_told(changes, everything, resampling),
        "told": resampling.estimate(
            {language: _told(own).mean(everything) for language, own in cells.items()}, limits=None
        ),
        "original_told": resampling.estimate({language: _told(own) for language, own in target.items()}),
        "consistency_by_source_layer": _mean_of_told(cells, (2,), resampling),
        "consistency_by_target_layer": _mean_of_told(cells, (1,), resampling),
        "consistency_by_pair": _mean_of_told(cells, (), resampling, resamples=PAIR_RESAMPLES),
    }


def _told(scores: Array) -> NDArray[np.bool_]:
    return ~np.isnan(scores)


def _mean_of_told(
    scores: Mapping[str, Array],
    axes: tuple[int, ...],
    resampling: Resampling,
    *,
    resamples: int | None = None,
) -> Estimates:
    """The mean over all scores that are no NaN, of all questions and over `axes` of each."""
    return resampling.estimate(
        {language: np.nan_to_num(own).sum(axes) for language, own in scores.items()},
        {language: _told(own).sum(axes) for language, own in scores.items()},
        limits=None if axes else (0.0, 1.0),  # of one answer
        resamples=resamples,
    )
