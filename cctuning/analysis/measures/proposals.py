"""Proposals in words: where a connection could be made, or that nothing speaks for any place."""

from collections.abc import Mapping
from typing import Any

from cctuning.evaluation.benchmarks import find_benchmark

PROPOSALS = (
    "Pairs of layers from which the right source prompt makes the right answers likelier than another "
    "question's does, over all languages but the centre, each with the settings of a connection there. In "
    "nats, with 95 % intervals that hold for all pairs and sub-layers together, so the best of many may be "
    "judged by its own. Layers count from 0."
)


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
