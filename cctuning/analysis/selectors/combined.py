"""Likelihood and vote together, weighed against each other as the pilot teaches.

Each distinct answer to a question is a row: how many pairs give it, how probable it is at best with and
without the transplant, whether the model as it is gives it. A logistic regression learns from the pilot's
rows, of all languages, which answers are right. That is a handful of weights in all, however many pairs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.selectors.answers import Array, LabelledAnswers, UnlabelledAnswers
from cctuning.analysis.selectors.selector import PairChoice, PairSelector, Rule, best
from cctuning.analysis.selectors.vote import most_voted, votes
from cctuning.tools.extras import extra


def most_probable(unlabelled: UnlabelledAnswers) -> NDArray[np.bool_]:
    """(Q, C): the pairs that give their answer with the highest probability of all that give it."""
    rows = np.arange(len(unlabelled.answer))[:, None]
    highest = np.full((len(unlabelled.answer), int(unlabelled.answer.max(initial=0)) + 1), -np.inf)
    np.maximum.at(highest, (rows, unlabelled.answer), unlabelled.log_probability)
    return np.asarray(unlabelled.log_probability == highest[rows, unlabelled.answer])


def signs(unlabelled: UnlabelledAnswers) -> Array:
    """(Q, C, 7) what may tell right answers from wrong ones, less the mean over the question's answers."""
    raw = np.stack(
        [
            np.log(votes(unlabelled.answer, np.ones(unlabelled.answer.shape))),
            unlabelled.log_probability,
            unlabelled.log_probability / unlabelled.new_tokens,
            unlabelled.plain_log_probability,
            unlabelled.plain_log_probability / unlabelled.new_tokens,
            np.log(unlabelled.new_tokens),
            unlabelled.answer == unlabelled.original[:, None],
        ],
        axis=2,
    )
    chosen = most_probable(unlabelled)[..., None]
    return np.asarray(raw - (raw * chosen).sum(axis=1, keepdims=True) / chosen.sum(axis=1, keepdims=True))


def _learn(pilot: Sequence[LabelledAnswers]) -> Rule:
    rows, right = [], []
    for labelled in pilot:
        # Where all answers are right, or none is, there is nothing to tell apart.
        share = labelled.correct.mean(axis=1, keepdims=True)
        used = most_probable(labelled.unlabelled) & (share > 0) & (share < 1)
        rows.append(signs(labelled.unlabelled)[used])
        right.append(labelled.correct[used])
    table, gold = np.concatenate(rows), np.concatenate(right)
    if len(set(gold.tolist())) < 2:
        return lambda unlabelled: most_voted(unlabelled, np.ones(unlabelled.answer.shape))
    with extra("analysis"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, gold)

    def rule(unlabelled: UnlabelledAnswers) -> PairChoice:
        features = signs(unlabelled)
        scores = model.decision_function(features.reshape(-1, features.shape[2])).reshape(features.shape[:2])
        return best(np.where(most_probable(unlabelled), scores, -np.inf), unlabelled.log_probability)

    return rule


COMBINED = {
    "combined": PairSelector(
        "likelihood and vote, weighed by a logistic regression on the pilot", _learn, needs="plain"
    )
}
