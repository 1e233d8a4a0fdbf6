"""Log-probability of the right answers: what transplants do where no answer changes from wrong to right."""

from collections.abc import Callable, Mapping

from cctuning.analysis.cells.grid import Answers, Grid
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling


def likelihood_changes(grid: Grid) -> Array | None:
    """The nats (Q, L, L) that a transplant adds to the log-probability of a right answer.

    NaN for questions of which it is not known; None where that is so of all.
    """
    cells, target = grid.cells.right_log_probability, grid.target.right_log_probability
    return None if cells is None or target is None else cells - target[:, None, None]


def measure_likelihood(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Log-probabilities of right answers, in nats, by quantity and language; empty where none were computed.

    `right_log_probability`: the mean over all pairs; `original_` and `source_`: of the model as it is, asked
    the target and the source prompt. `right_log_probability_change`: the first less the second, question by
    question. `_by_source_layer`, `_by_target_layer`: (L,). `_by_pair`: (L, L).
    """
    changes = {
        language: values
        for language, grid in grids.items()
        if (values := likelihood_changes(grid)) is not None
    }
    if not changes:
        return {}
    known = {language: grids[language] for language in changes}

    def of(whose: Callable[[Grid], Answers], axes: tuple[int, ...] = ()) -> Estimates:
        values = {language: whose(grid).right_log_probability for language, grid in known.items()}
        scores = {language: array for language, array in values.items() if array is not None}
        return resampling.mean_of_known(scores, axes)

    name = "right_log_probability"
    return {
        name: of(lambda grid: grid.cells, (1, 2)),
        f"original_{name}": of(lambda grid: grid.target),
        f"source_{name}": of(lambda grid: grid.source),
        f"{name}_change": resampling.mean_of_known(changes, (1, 2)),
        f"{name}_change_by_source_layer": resampling.mean_of_known(changes, (2,)),
        f"{name}_change_by_target_layer": resampling.mean_of_known(changes, (1,)),
        f"{name}_change_by_pair": resampling.mean_of_known(changes, resamples=PAIR_RESAMPLES),
    }
