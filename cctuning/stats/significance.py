"""Tests of "there is no difference", and their correction for many tests."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from cctuning.stats.bootstrap import Array


def bootstrap_p(resampled: Array) -> float:
    """The two-sided p of "the mean is 0", from resampled means: twice the share beyond 0, at most 1.

    It is below 0.05 where the percentile interval leaves out 0. The smallest is 2 / (resamples + 1).
    """
    drawn = resampled[~np.isnan(resampled)]
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))


def unanimous_p(difference: float, count: int) -> float:
    """The same where all `count` differences, from -1 to 1, are alike, to go with `unanimous_interval`.

    It is 2 / (1 + |difference|)^count: for right against wrong, 1, the sign test's.
    """
    return float(min(1.0, 2 / (1 + abs(difference)) ** count))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """McNemar's exact two-sided test of two models, from the questions that only one of them got right.

    The binomial test of the discordant questions; 1 without any. Exact, so it errs on the careful side.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p values: calling those below α real is wrong anywhere with a chance of at most α."""
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[number]))
        corrected[number] = highest
    return corrected
