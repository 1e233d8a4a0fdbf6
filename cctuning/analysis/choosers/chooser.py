"""What a chooser is: something that learns from the pilot questions, and then picks a cell per question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.choosers.asked import Array, Asked, Known

Choice = NDArray[np.intp]  # (Q,) a place among the C pairs for each question
Rule = Callable[[Asked], Choice]
Need = Literal["options", "activations", "plain"]


@dataclass(frozen=True)
class Chooser:
    """A way to choose a layer pair per question, without knowing the answer."""

    about: str  # what it picks, in a few words, for tables
    learn: Callable[[Sequence[Known]], Rule]  # from the pilot's questions, one for each language
    needs: Need | None = None  # what not every study has


def untrained(about: str, rule: Rule, needs: Need | None = None) -> Chooser:
    """A chooser that has nothing to learn."""
    return Chooser(about, lambda pilot: rule, needs)


def best(*scores: Array) -> Choice:
    """The place with the highest score of each row, (Q, C) each; NaN is the lowest.

    Where several have it, the next scores decide, and in the end the first place: the lowest source layer,
    and then the lowest target layer.
    """
    tied = np.ones(scores[0].shape, bool)
    for score in scores:
        own = np.where(tied & ~np.isnan(score), score, -np.inf)
        tied &= own == own.max(axis=1, keepdims=True)
    return tied.argmax(axis=1)
