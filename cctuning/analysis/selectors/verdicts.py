"""Scores of selectors on the same questions, with intervals: differences are taken question by question."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cctuning.analysis.selectors.answers import Array
from cctuning.analysis.selectors.references import MEANS_OVER_PAIRS
from cctuning.stats.bootstrap import Interval
from cctuning.stats.estimates import Estimate, Resampling

BASELINES = ("original", "fixed_pair")  # what all others are compared with

ScoresByName = Mapping[str, Mapping[str, Array]]  # language -> pair selector or reference -> (Q,)


@dataclass(frozen=True)
class AccuracyEstimate:
    """An accuracy in [0, 1], or a difference of two in [-1, 1], with its 95 % interval."""

    value: float
    interval: Interval | None  # None of a mean over pairs that is the same for every question


@dataclass(frozen=True)
class Verdict:
    """Accuracy of one pair selector, or of one of the references."""

    name: str
    accuracy: AccuracyEstimate
    over_original: AccuracyEstimate | None  # None of the original itself
    over_fixed_pair: AccuracyEstimate | None  # and of the fixed pair itself
    pairs: int | None  # how many distinct pairs it chose; None of a reference that chooses none


def verdicts(
    name: str, scores: ScoresByName, resampling: Resampling, pairs: Mapping[str, int]
) -> dict[str, Verdict]:
    """Verdicts on one pair selector by language, and of all together under `MEAN` and `POOLED`.

    `pairs`: how many distinct ones it chose, likewise.
    """
    one_answer = name not in MEANS_OVER_PAIRS
    accuracy = resampling.estimate(
        {language: by_name[name] for language, by_name in scores.items()},
        limits=(0.0, 1.0) if one_answer else None,
    )
    over = {
        baseline: resampling.estimate(
            {language: by_name[name] - by_name[baseline] for language, by_name in scores.items()},
            limits=(-1.0, 1.0) if one_answer else None,
        )
        for baseline in BASELINES
        if baseline != name
    }
    by_language = {}
    for language, estimate in accuracy.items():
        original, fixed = (
            _score(over[baseline][language]) if baseline in over else None for baseline in BASELINES
        )
        by_language[language] = Verdict(name, _score(estimate), original, fixed, pairs.get(language))
    return by_language


def _score(estimate: Estimate) -> AccuracyEstimate:
    ends = Interval(float(estimate.low), float(estimate.high))
    return AccuracyEstimate(float(estimate.value), None if math.isnan(ends.low) else ends)
