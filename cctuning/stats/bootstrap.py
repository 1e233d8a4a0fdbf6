"""How sure a score is: bootstrap intervals, paired tests, and their correction for many tests.

Everything rests on resampled means: draw as many questions as there are, with replacement, and take the mean
again. The mean of several benchmarks or languages is resampled by averaging theirs. Where the languages hold
the same questions, a question is drawn for all of them at once (a cluster bootstrap): its scores go together,
and drawing each language by itself would make the interval of their average too narrow.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binomtest

Array: TypeAlias = NDArray[np.float64]
Id: TypeAlias = int | str
Scores: TypeAlias = Mapping[Id, float]  # by question id
Key = TypeVar("Key", bound=Hashable)

# Of every evaluation. With 10,000 the ends of an interval move by about 0.02 of its width from seed to seed.
RESAMPLES = 10_000

_LEVEL = 0.95
_CELLS = 2**22  # counts held at a time: 32 MiB


class Interval(NamedTuple):
    """Both ends of a 95 % interval."""

    low: float
    high: float


def generator(seed: int, *names: str) -> Generator:
    """Random numbers for what has these names, the same whatever else is computed before or beside it."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


# --- Resampling ---------------------------------------------------------------------------------------------


def resampled_means(scores: Array, random: Generator, resamples: int = RESAMPLES) -> Array:
    """Means of `scores`, (questions, columns), over `resamples` draws of questions: (resamples, columns).

    All columns are drawn together. NaN: this column has no such question; its mean goes over those it has,
    and is NaN in a draw that holds none of them.
    """
    questions = len(scores)
    present = ~np.isnan(scores)
    filled, present = np.where(present, scores, 0.0), present.astype(float)
    means = np.empty((resamples, scores.shape[1]))
    chunk = max(1, _CELLS // questions)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = random.integers(questions, size=(rows, questions))
        places = drawn + questions * np.arange(rows)[:, None]
        counts = np.bincount(places.ravel(), minlength=rows * questions).reshape(rows, questions)
        counts = counts.astype(float)
        with np.errstate(invalid="ignore"):
            means[start : start + rows] = (counts @ filled) / (counts @ present)
    return means


def resampled_languages(
    scores: Mapping[str, Mapping[Key, Scores]],
    *,
    parallel: bool,
    random: Generator,
    resamples: int = RESAMPLES,
) -> dict[str, dict[Key, Array]]:
    """Resampled means, (resamples,) each, of the scores by question id under every language and key.

    `parallel`: the same id is the same question, so it is drawn for all languages at once. Else every
    language is drawn by itself. Keys, metrics or models, always share the draws of a language: the
    difference of two of them is that of paired scores.
    """
    if not parallel:
        return {language: _resampled_table(own, random, resamples) for language, own in scores.items() if own}
    table = {(language, key): own for language, keys in scores.items() for key, own in keys.items()}
    means: dict[str, dict[Key, Array]] = {}
    for (language, key), drawn in _resampled_table(table, random, resamples).items():
        means.setdefault(language, {})[key] = drawn
    return means


def _resampled_table(scores: Mapping[Key, Scores], random: Generator, resamples: int) -> dict[Key, Array]:
    ids = list(dict.fromkeys(id for own in scores.values() for id in own))
    table = np.array([[own.get(id, np.nan) for own in scores.values()] for id in ids])
    return dict(zip(scores, resampled_means(table, random, resamples).T, strict=True))


def interval(resampled: Array) -> Interval:
    """The 95 % percentile interval. Draws without a mean, NaN, are left out."""
    tail = (1 - _LEVEL) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Interval(float(low), float(high))


def unanimous_interval(value: float, count: int, *, lowest: float = 0.0, highest: float = 1.0) -> Interval:
    """The interval of the mean where all `count` scores are `value`, and resampling would show no doubt.

    Up to a share u = 1 - 0.025^(1/count) of all questions could be otherwise, at worst the `lowest` or the
    `highest` score. For right and wrong, 1 and 0, that is the exact interval of Clopper and Pearson.
    """
    share = 1 - ((1 - _LEVEL) / 2) ** (1 / count)
    return Interval(value + share * (lowest - value), value + share * (highest - value))


def standard_error(scores: Mapping[str, Scores], *, parallel: bool) -> float | None:
    """Standard error of the average over languages, from every language's scores by question id.

    A question adds c = Σ_l (score_l - mean_l) / (n_l L) to the average's error, and the error is the root of
    Σ c² Q / (Q - 1) over Q questions: for one language lm-evaluation-harness's s / sqrt(n). Languages that
    are not `parallel` err independently. None where there is only one question.
    """
    if parallel:
        return _joint_error(scores)
    return independent_error([_joint_error({language: own}) for language, own in scores.items()])


def _joint_error(scores: Mapping[str, Scores]) -> float | None:
    parts: dict[Id, float] = {}
    for own in scores.values():
        mean = math.fsum(own.values()) / len(own)
        for id, score in own.items():
            parts[id] = parts.get(id, 0.0) + (score - mean) / (len(own) * len(scores))
    if len(parts) < 2:
        return None
    return math.sqrt(math.fsum(part**2 for part in parts.values()) * len(parts) / (len(parts) - 1))


def independent_error(errors: Sequence[float | None]) -> float | None:
    """Standard error of an average whose k parts err independently: sqrt(Σ error²) / k, as in the harness."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) / len(errors) if len(known) == len(errors) else None


# --- Tests --------------------------------------------------------------------------------------------------


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
