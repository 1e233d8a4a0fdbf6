"""Interface of selectors, which learn from the pilot questions and then pick a cell per question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.selectors.answers import Array, LabelledAnswers, UnlabelledAnswers

PairChoice = NDArray[np.intp]  # (Q,) a place among the C pairs for each question
Rule = Callable[[UnlabelledAnswers], PairChoice]
Need = Literal["options", "activations", "plain"]


@dataclass(frozen=True)
class PairSelector:
    """A way to choose a layer pair per question, without knowing the answer."""

    about: str  # what it picks, in a few words, for tables
    learn: Callable[[Sequence[LabelledAnswers]], Rule]  # from the pilot's questions, one for each language
    needs: Need | None = None  # what not every study has


def untrained(about: str, rule: Rule, needs: Need | None = None) -> PairSelector:
    """A pair selector that has nothing to learn."""
    return PairSelector(about, lambda pilot: rule, needs)


def best(*scores: Array) -> PairChoice:
    """The place with the highest score of each row, (Q, C) each; NaN is the lowest.

    Where several have it, the next scores decide, and in the end the first place: the lowest source layer,
    and then the lowest target layer.
    """
    tied = np.ones(scores[0].shape, bool)
    for score in scores:
        candidates = np.where(tied & ~np.isnan(score), score, -np.inf)
        tied &= candidates == candidates.max(axis=1, keepdims=True)
    return tied.argmax(axis=1)
