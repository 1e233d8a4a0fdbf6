"""Log-probability of the right answers: what transplants do where no answer changes from wrong to right."""

from collections.abc import Callable, Mapping

from cctuning.analysis.cells.grid import Answers, Grid
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling


def likelihood_changes(grid: Grid) -> Array | None:
    """The nats (Q, L, L) that a transplant adds to the log-probability of a right answer.

    NaN for questions of which it is not known; None where nothing was scored.
    """
    cells, target = grid.cells.right_log_probability, grid.target.right_log_probability
    return None if cells is None or target is None else cells - target[:, None, None]


def measure_likelihood(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Log-probabilities of right answers, in nats, by quantity and language; empty where none were computed.

    `right_log_probability`: the mean over all pairs; `original_` and `source_`: of the model as it is, asked
    the target and the source prompt. `right_log_probability_change`: the first less the second, question by
    question. `_by_source_layer`, `_by_target_layer`: (L,). `_by_pair`: (L, L).
    """
    changes = known({language: likelihood_changes(grid) for language, grid in grids.items()})
    if not changes:
        return {}

    def of(whose: Callable[[Grid], Answers], axes: tuple[int, ...] = ()) -> Estimates:
        values = {language: whose(grids[language]).right_log_probability for language in changes}
        return resampling.mean_of_known(known(values), axes)

    name = "right_log_probability"
    return {
        name: of(lambda grid: grid.cells, (1, 2)),
        f"original_{name}": of(lambda grid: grid.target),
        f"source_{name}": of(lambda grid: grid.source),
        **by_layers(f"{name}_change", changes, resampling),
    }


def by_layers(name: str, nats: Mapping[str, Array], resampling: Resampling) -> dict[str, Estimates]:
    """Means over all pairs, over those with each source and with each target layer, and of each pair."""
    return {
        name: resampling.mean_of_known(nats, (1, 2)),
        f"{name}_by_source_layer": resampling.mean_of_known(nats, (2,)),
        f"{name}_by_target_layer": resampling.mean_of_known(nats, (1,)),
        f"{name}_by_pair": resampling.mean_of_known(nats, resamples=PAIR_RESAMPLES),
    }


def known(values: Mapping[str, Array | None]) -> dict[str, Array]:
    """What was computed, by language."""
    return {name: array for name, array in values.items() if array is not None}
