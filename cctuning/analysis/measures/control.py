"""What the right source prompt is worth over another question's, and where a connection could be made.

Most of what is moved says "here an answer begins", whatever the question. So the change of the right answers'
log-probability is compared with that under the source prompt of another question of the language.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.measures.likelihood import likelihood_changes
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import MEAN, PAIR_RESAMPLES, Estimate, Estimates, Resampling

_ENOUGH = 20  # questions, without which an interval over many pairs says nothing
_MOST = 5  # pairs that are proposed
_CONNECTED = ("ffn", "attention", "block")  # the sub-layers that a connection may be of

GridsByLanguage = Mapping[str, Grid]


def over_control(grid: Grid, control: Grid) -> Array | None:
    """The nats (Q, L, L) that the right source prompt adds to what another's makes of a right answer.

    NaN for questions of which it is not known; None where that is so of all.
    """
    right, wrong = grid.cells.right_log_probability, control.cells.right_log_probability
    return None if right is None or wrong is None else right - wrong


def measure_control(
    grids: GridsByLanguage, controls: GridsByLanguage, resampling: Resampling
) -> dict[str, Estimates]:
    """Log-probabilities of right answers over those of the control, in nats; empty without a control.

    `over_control_log_probability`: the mean over all pairs; `_by_source_layer`, `_by_target_layer`: (L,),
    `_by_pair`: (L, L). `control_log_probability_change_by_pair`: what the control itself changes.
    """
    differences = _known(
        {name: over_control(grid, controls[name]) for name, grid in grids.items() if name in controls}
    )
    if not differences:
        return {}
    changes = _known({name: likelihood_changes(controls[name]) for name in differences})
    name = "over_control_log_probability"
    return {
        name: resampling.mean_of_known(differences, (1, 2)),
        f"{name}_by_source_layer": resampling.mean_of_known(differences, (2,)),
        f"{name}_by_target_layer": resampling.mean_of_known(differences, (1,)),
        f"{name}_by_pair": resampling.mean_of_known(differences, resamples=PAIR_RESAMPLES),
        "control_log_probability_change_by_pair": resampling.mean_of_known(changes, resamples=PAIR_RESAMPLES),
    }


@dataclass(frozen=True)
class ProposedPair:
    """A pair of layers: what it gains over the control and over the model as it is, in nats."""

    sublayer: str
    source_layer: int
    target_layer: int
    value: float  # over the control
    low: float  # ends of its interval, which is one of a set that holds for all pairs together
    high: float
    change: float  # over the model as it is
    settings: str  # of a connection there, as `cctuning train` takes them


@dataclass(frozen=True)
class Proposal:
    """Where a connection of a benchmark's languages could be made: the pairs that gain over the control."""

    languages: tuple[str, ...]
    questions: int
    best: ProposedPair  # whatever its interval
    pairs: tuple[
        ProposedPair, ...
    ]  # at most five whose interval is above 0, the best first; of few questions none
    enough: bool  # whether there are questions enough to tell


def propose(
    grids: Mapping[str, GridsByLanguage],
    controls: Mapping[str, GridsByLanguage],
    resamplings: Mapping[str, Resampling],
    centre: str,
) -> Proposal | None:
    """The proposal for a benchmark's `grids`, by sub-layer and language; `controls` alike.

    `resamplings`, by sub-layer, have the same draws.
    It rests on the languages that are asked in themselves, with activations of the centre language. None
    where none of them has a control, or no sub-layer can be connected.
    """
    sublayers = [name for name in grids if name in _CONNECTED and name in controls]
    asked = {
        language
        for name in sublayers
        for language, grid in grids[name].items()
        if grid.asked_in == language != centre
    }
    differences, changes = {}, {}  # (Q, sub-layers, L, L) by language
    for language in sorted(asked):
        of_sublayers = [
            (grids[name][language], controls[name][language])
            for name in sublayers
            if language in grids[name] and language in controls[name]
        ]
        over = [array for both in of_sublayers if (array := over_control(*both)) is not None]
        own = [array for grid, _ in of_sublayers if (array := likelihood_changes(grid)) is not None]
        if len(over) == len(own) == len(sublayers):
            differences[language], changes[language] = np.stack(over, 1), np.stack(own, 1)
    if not differences:
        return None
    resampling = resamplings[sublayers[0]]  # which has all languages that are compared
    estimate = resampling.simultaneous(differences)
    change = resampling.mean_of_known(changes, resamples=1)[MEAN].value
    order = np.argsort(-np.nan_to_num(estimate.value, nan=-np.inf), axis=None, kind="stable")
    ranked = [
        _pair(sublayers[place[0]], place, estimate, change)
        for place in zip(*np.unravel_index(order, estimate.value.shape), strict=True)
    ]
    enough = estimate.questions >= _ENOUGH
    gaining = [pair for pair in ranked if pair.low > 0][:_MOST] if enough else []
    return Proposal(tuple(differences), estimate.questions, ranked[0], tuple(gaining), enough)


def _pair(sublayer: str, place: tuple[int, ...], estimate: Estimate, change: Array) -> ProposedPair:
    source, target = map(int, place[1:])
    value, low, high, gain = (
        float(numbers[place]) for numbers in (estimate.value, estimate.low, estimate.high, change)
    )
    layers = f"connection.pooling=layer connection.layer={source} connection.target_layer={target}"
    settings = f"{layers} connection.sublayer={sublayer}"
    return ProposedPair(sublayer, source, target, value, low, high, gain, settings)


def _known(values: Mapping[str, Array | None]) -> dict[str, Array]:
    return {name: array for name, array in values.items() if array is not None}
