"""Input-output language consistency: are answers in the language of the question?"""

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
    """Whether answers are in the question's language, by `cctuning.data.language_id`, each text once.

    It cannot be said of short answers, such as a label alone. Raises `ValueError` for what is no language.
    """
    known: dict[str, float | None] = {}
    for text in (text for texts in grid.texts for text in texts):
        if text not in known:
            known[text] = language_consistency(text, grid.asked_in)
    tables = [np.array([known[text] for text in texts], float) for texts in grid.texts]  # None becomes NaN

    def looked_up(answers: Answers) -> Array:
        return np.stack([table[places] for table, places in zip(tables, answers.text, strict=True)])

    return Consistency(cells=looked_up(grid.cells), target=looked_up(grid.target))


def measure_consistency(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Consistency of a benchmark by quantity and language.

    `consistency`: of all transplanted answers of which it can be said (their share is `told`) the share that
    is in the question's language; `original` and `original_told`: the same of the model as it is.
    `difference`: the former less the latter, over the questions of whose original answer it can be said too.
    `_by_source_layer`, `_by_target_layer`: (L,). `_by_pair`: (L, L).
    """
    by_language = each(consistency, grids)
    cells = {language: answers.cells for language, answers in by_language.items()}
    target = {language: answers.target for language, answers in by_language.items()}
    # The original's is NaN, and so the difference, where it cannot be said of the original.
    changes = {
        language: answers.cells - answers.target[:, None, None] for language, answers in by_language.items()
    }
    everything, one_answer = (1, 2), (0.0, 1.0)
    return {
        "consistency": resampling.mean_of_known(cells, everything),
        "original": resampling.mean_of_known(target, limits=one_answer),
        "difference": resampling.mean_of_known(changes, everything),
        "told": resampling.estimate(
            {language: _known(values).mean(everything) for language, values in cells.items()}, limits=None
        ),
        "original_told": resampling.estimate(
            {language: _known(values) for language, values in target.items()}
        ),
        "consistency_by_source_layer": resampling.mean_of_known(cells, (2,)),
        "consistency_by_target_layer": resampling.mean_of_known(cells, (1,)),
        "consistency_by_pair": resampling.mean_of_known(cells, limits=one_answer, resamples=PAIR_RESAMPLES),
    }


def _known(scores: Array) -> NDArray[np.bool_]:
    return ~np.isnan(scores)
