"""Vote: the answer that most pairs give, weighted or not, by all pairs or by those best on the pilot.

Answers with the same words are one answer (`UnlabelledAnswers.answer`). The pair that is chosen is the one
that gives the answer with the highest probability. Of answers with as many votes, the one that has such a
pair wins.
"""

from collections.abc import Sequence

import numpy as np

from cctuning.analysis.selectors.answers import (
    Array,
    LabelledAnswers,
    UnlabelledAnswers,
    accuracy,
    pair_accuracy,
)
from cctuning.analysis.selectors.likelihood import option_shares
from cctuning.analysis.selectors.selector import PairChoice, PairSelector, Rule, best, untrained

# An answer's vote is its probability to the power of 1 / temperature; at infinity every vote counts the same.
TEMPERATURES = (np.inf, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0)

_GOOD = 0.1  # share of the pairs that are taken for good


def votes(answer: PairChoice, weights: Array) -> Array:
    """(Q, C): the sum of `weights` (Q, C) over all pairs of the same answer (Q, C) to the same question."""
    rows = np.arange(len(answer))[:, None]
    sums = np.zeros((len(answer), int(answer.max(initial=0)) + 1))
    np.add.at(sums, (rows, answer), weights)
    return sums[rows, answer]


def most_voted(unlabelled: UnlabelledAnswers, weights: Array) -> PairChoice:
    """The likeliest pair (Q,) of those that give the answer with the highest sum of `weights` (Q, C)."""
    return best(votes(unlabelled.answer, weights), unlabelled.log_probability)


def _weighted(unlabelled: UnlabelledAnswers, temperature: float) -> PairChoice:
    # Relative to the most probable answer to a question: only ratios matter, and no weight is lost to 0.
    relative = unlabelled.log_probability - unlabelled.log_probability.max(axis=1, keepdims=True)
    return most_voted(unlabelled, np.exp(relative / temperature))


def _learn_temperature(pilot: Sequence[LabelledAnswers]) -> Rule:
    """The temperature that got most right, averaged over the languages; the highest of those alike."""

    def pilot_accuracy(temperature: float) -> float:
        return float(
            np.mean([accuracy(labelled, _weighted(labelled.unlabelled, temperature)) for labelled in pilot])
        )

    best_temperature = max(TEMPERATURES, key=pilot_accuracy)
    return lambda unlabelled: _weighted(unlabelled, best_temperature)


def _learn_good_pairs(pilot: Sequence[LabelledAnswers]) -> Rule:
    """The best tenth of the pairs, by accuracy over all languages of the pilot: more sure than one's own."""
    right = pair_accuracy(pilot)
    threshold = np.sort(right)[::-1][max(1, round(_GOOD * len(right))) - 1]

    def rule(unlabelled: UnlabelledAnswers) -> PairChoice:
        good = right[unlabelled.places] >= threshold
        return most_voted(
            unlabelled, np.broadcast_to(good if good.any() else ~good, unlabelled.answer.shape) * 1.0
        )

    return rule


def _options_voted(unlabelled: UnlabelledAnswers, ballots: Array) -> PairChoice:
    """The pair surest of the option with most `ballots`, (Q, C, options); the first of options alike."""
    winner = ballots.sum(axis=1).argmax(axis=1)
    return best(np.take_along_axis(option_shares(unlabelled), winner[:, None, None], axis=2)[..., 0])


def _one_each(unlabelled: UnlabelledAnswers) -> Array:
    shares = option_shares(unlabelled)
    return 1.0 * (np.arange(shares.shape[2]) == shares.argmax(axis=2)[..., None])


VOTE = {
    "vote": untrained(
        "the answer that most pairs give",
        lambda unlabelled: most_voted(unlabelled, np.ones(unlabelled.answer.shape)),
    ),
    "vote_weighted": PairSelector(
        "the same, votes weighted by the answer's probability, tempered as was best on the pilot",
        _learn_temperature,
    ),
    "vote_of_good_pairs": PairSelector(
        "the answer of most of the tenth of pairs that were best on the pilot", _learn_good_pairs
    ),
    "vote_options": untrained(
        "the option that most pairs find likeliest",
        lambda unlabelled: _options_voted(unlabelled, _one_each(unlabelled)),
        needs="options",
    ),
    "vote_options_weighted": untrained(
        "the option with the highest probability over all pairs",
        lambda unlabelled: _options_voted(unlabelled, option_shares(unlabelled)),
        needs="options",
    ),
}
