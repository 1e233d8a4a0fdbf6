"""What choosers stand beside: the model as it is, any pair, one pair for all, and the upper bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cctuning.analysis.choosers.asked import Array, Asked, Known, pair_accuracy
from cctuning.analysis.choosers.chooser import Choice, Chooser, Rule
from cctuning.analysis.measures.strategies import best_pair


def original(known: Known) -> Array:
    """(Q,) score of the model as it is, asked the same prompt."""
    return known.original.astype(np.float64)


def random_pair(known: Known) -> Array:
    """(Q,) score that is to be expected of a pair that is drawn by chance: the mean over all pairs."""
    return np.asarray(known.correct.mean(axis=1))


def upper_bound(known: Known) -> Array:
    """(Q,) the instance-aware upper bound (XTransplant, eq. 4): whether any pair gives a right answer."""
    return np.asarray(known.correct.any(axis=1), dtype=np.float64)


REFERENCES: dict[str, Callable[[Known], Array]] = {
    "original": original,
    "random_pair": random_pair,
    "upper_bound": upper_bound,
}

MEANS_OVER_PAIRS = ("random_pair",)  # of those: what a question scores there is no single answer's


def _always(accuracy: Array, asked: Asked) -> Choice:
    """The best of the pairs, with ties as the strategies have them."""
    square = (asked.layers, asked.layers)
    offered = np.isin(np.arange(accuracy.size), asked.places).reshape(square)
    pair = best_pair(accuracy.reshape(square), offered)
    return np.full(len(asked.questions), asked.pairs.tolist().index(list(pair)))


def _learn_pair(pilot: Sequence[Known]) -> Rule:
    by_language = {known.asked.language: pair_accuracy([known]) for known in pilot}
    of_all = pair_accuracy(pilot)
    # A language may have so few questions that all of them are left out.
    return lambda asked: _always(by_language.get(asked.language, of_all), asked)


def _learn_pair_of_all(pilot: Sequence[Known]) -> Rule:
    accuracy = pair_accuracy(pilot)
    return lambda asked: _always(accuracy, asked)


FIXED = {
    "fixed_pair": Chooser(
        "the pair that was best on the pilot in the same language (OverAll)",
        _learn_pair,
    ),
    "fixed_pair_of_all": Chooser(
        "the pair that was best on the pilot over all languages",
        _learn_pair_of_all,
    ),
}
