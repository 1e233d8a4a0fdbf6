"""References for pair selectors: the model as it is, any pair, one pair for all, and the upper bound."""

from collections.abc import Callable, Sequence

import numpy as np

from cctuning.analysis.measures.strategies import best_pair
from cctuning.analysis.selectors.answers import Array, LabelledAnswers, UnlabelledAnswers, pair_accuracy
from cctuning.analysis.selectors.selector import PairChoice, PairSelector, Rule

REFERENCES: dict[str, Callable[[LabelledAnswers], Array]] = {  # (Q,) scores
    # The model as it is, asked the same prompt.
    "original": lambda labelled: labelled.original.astype(np.float64),
    # What is to be expected of a pair that is drawn by chance: the mean over all pairs.
    "random_pair": lambda labelled: np.asarray(labelled.correct.mean(axis=1)),
    # The instance-aware upper bound (XTransplant, eq. 4): whether any pair gives a right answer.
    "upper_bound": lambda labelled: np.asarray(labelled.correct.any(axis=1), dtype=np.float64),
}

MEANS_OVER_PAIRS = ("random_pair",)  # of those: what a question scores there is no single answer's


def _always(accuracy: Array, unlabelled: UnlabelledAnswers) -> PairChoice:
    """The best of the pairs, with ties as the strategies have them."""
    square = (unlabelled.layers, unlabelled.layers)
    offered = np.isin(np.arange(accuracy.size), unlabelled.places).reshape(square)
    pair = best_pair(accuracy.reshape(square), offered)
    return np.full(len(unlabelled.questions), unlabelled.pairs.tolist().index(list(pair)))


def _learn_pair(pilot: Sequence[LabelledAnswers]) -> Rule:
    by_language = {labelled.unlabelled.language: pair_accuracy([labelled]) for labelled in pilot}
    of_all = pair_accuracy(pilot)
    # A language may have so few questions that all of them are left out.
    return lambda unlabelled: _always(by_language.get(unlabelled.language, of_all), unlabelled)


def _learn_pair_of_all(pilot: Sequence[LabelledAnswers]) -> Rule:
    accuracy = pair_accuracy(pilot)
    return lambda unlabelled: _always(accuracy, unlabelled)


FIXED = {
    "fixed_pair": PairSelector(
        "the pair that was best on the pilot in the same language (OverAll)", _learn_pair
    ),
    "fixed_pair_of_all": PairSelector(
        "the pair that was best on the pilot over all languages", _learn_pair_of_all
    ),
}
