"""Likelihood and vote together, weighed against each other as the pilot teaches.

Each distinct answer to a question is a row: how many pairs give it, how probable it is at best with and
without the transplant, whether the model as it is gives it. A logistic regression learns from the pilot's
rows, of all languages, which answers are right. That is a handful of weights in all, however many pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.choosers.asked import Array, Asked, Known
from cctuning.analysis.choosers.chooser import Choice, Chooser, Rule, best
from cctuning.analysis.choosers.vote import votes
from cctuning.tools.extras import extra


def most_probable(asked: Asked) -> NDArray[np.bool_]:
    """(Q, C): the pairs that give their answer with the highest probability of all that give it."""
    rows = np.arange(len(asked.answer))[:, None]
    highest = np.full((len(asked.answer), int(asked.answer.max(initial=0)) + 1), -np.inf)
    np.maximum.at(highest, (rows, asked.answer), asked.log_probability)
    return np.asarray(asked.log_probability == highest[rows, asked.answer])


def signs(asked: Asked) -> Array:
    """(Q, C, 7) what may tell right answers from wrong ones, less the mean over the question's answers."""
    raw = np.stack(
        [
            np.log(votes(asked.answer, np.ones(asked.answer.shape))),
            asked.log_probability,
            asked.log_probability / asked.new_tokens,
            asked.plain_log_probability,
            asked.plain_log_probability / asked.new_tokens,
            np.log(asked.new_tokens),
            asked.answer == asked.original[:, None],
        ],
        axis=2,
    )
    chosen = most_probable(asked)[..., None]
    return np.asarray(raw - (raw * chosen).sum(axis=1, keepdims=True) / chosen.sum(axis=1, keepdims=True))


def _learn(pilot: Sequence[Known]) -> Rule:
    rows, right = [], []
    for known in pilot:
        # Where all answers are right, or none is, there is nothing to tell apart.
        share = known.correct.mean(axis=1, keepdims=True)
        used = most_probable(known.asked) & (share > 0) & (share < 1)
        rows.append(signs(known.asked)[used])
        right.append(known.correct[used])
    table, gold = np.concatenate(rows), np.concatenate(right)
    if len(set(gold.tolist())) < 2:
        return lambda asked: best(votes(asked.answer, np.ones(asked.answer.shape)), asked.log_probability)
    with extra("analysis"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, gold)

    def rule(asked: Asked) -> Choice:
        found = signs(asked)
        scores = model.decision_function(found.reshape(-1, found.shape[2])).reshape(found.shape[:2])
        return best(np.where(most_probable(asked), scores, -np.inf), asked.log_probability)

    return rule


COMBINED = {
    "combined": Chooser(
        "likelihood and vote, weighed by a logistic regression on the pilot",
        _learn,
        needs="plain",
    ),
}
