"""Proposals: where a connection could be made, or that nothing speaks for any place; and both in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cctuning.analysis.measures.control import GridsByLanguage, over_control
from cctuning.analysis.measures.likelihood import likelihood_changes
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import MEAN, Estimate, Resampling

_ENOUGH = 20  # questions, without which an interval over many pairs says nothing
_MOST = 5  # pairs that are proposed
_CONNECTED = ("ffn", "attention", "block")  # the sub-layers that a connection may be of

PROPOSALS = (
    "Pairs of layers from which the right source prompt makes the right answers likelier than another "
    "question's does, over all languages but the centre, each with the settings of a connection there. In "
    "nats, with 95 % intervals that hold for all pairs and sub-layers together, so the best of many may be "
    "judged by its own. Layers count from 0."
)


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
    languages = {
        language
        for name in sublayers
        for language, grid in grids[name].items()
        if grid.asked_in == language != centre
    }
    differences, changes = {}, {}  # (Q, sub-layers, L, L) by language
    for language in sorted(languages):
        of_sublayers = [
            (grids[name][language], controls[name][language])
            for name in sublayers
            if language in grids[name] and language in controls[name]
        ]
        over = [
            array
            for both in of_sublayers
            if (array := over_control(*both)) is not None and not np.isnan(array).all()
        ]
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


# --- In words -----------------------------------------------------------------------------------------------


def proposal_lines(proposals: Mapping[str, Any]) -> list[str]:
    """A line for each proposed pair of a benchmark, or one that says that there is none."""
    return [
        f"{find_benchmark(name).title}: {line}"
        for name, proposal in proposals.items()
        for line in _lines(proposal)
    ]


def _lines(proposal: Mapping[str, Any]) -> list[str]:
    if proposal["pairs"]:
        return [
            f"{_gain(pair)}, {pair['change']:+.2f} over the model as it is: {pair['settings']}"
            for pair in proposal["pairs"]
        ]
    if not proposal["enough"]:
        return [f"{proposal['questions']} questions are too few to propose a pair"]
    return [f"no pair's interval is above 0, so none is proposed; the best is {_gain(proposal['best'])}"]


def _gain(pair: Mapping[str, Any]) -> str:
    place = f"{pair['sublayer']} {pair['source_layer']} → {pair['target_layer']}"
    if pair["low"] is None:
        return f"{place}, {pair['value']:+.2f} nats"
    return f"{place}, {pair['value']:+.2f} nats [{pair['low']:+.2f}, {pair['high']:+.2f}]"
