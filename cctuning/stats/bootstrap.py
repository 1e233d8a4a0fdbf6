"""Uncertainty of a score: draws of questions, and the intervals and standard errors of means over them.

Everything rests on resampled means: draw as many questions as there are, with replacement, and take the mean
again. The mean of several benchmarks or languages is resampled by averaging theirs. Where the languages hold
the same questions, a question is drawn for all of them at once (a cluster bootstrap): its scores go together,
and drawing each language by itself would make the interval of their average too narrow.
"""

import functools
import math
import warnings
import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Id: TypeAlias = int | str
ScoresById: TypeAlias = Mapping[Id, float]  # by question id
Measure = TypeVar("Measure", bound=Hashable)

# Of every evaluation. With 10,000 the ends of an interval move by about 0.02 of its width from seed to seed.
RESAMPLES = 10_000

_TAIL = (1 - 0.95) / 2
_CELLS = 2**22  # counts held at a time: 32 MiB


class Interval(NamedTuple):
    """Both ends of a 95 % interval."""

    low: float
    high: float


def generator(seed: int, *names: str) -> Generator:
    """Random numbers for what has these names, the same whatever else is computed before or beside it."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


# --- Resampling ---------------------------------------------------------------------------------------------


def draws(questions: int, random: Generator, resamples: int = RESAMPLES) -> Iterator[Array]:
    """The number of times each question is in each draw of as many: pieces of (draws, questions)."""
    chunk = max(1, _CELLS // questions)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = random.integers(questions, size=(rows, questions))
        places = drawn + questions * np.arange(rows)[:, None]
        counts = np.bincount(places.ravel(), minlength=rows * questions).reshape(rows, questions)
        yield counts.astype(float)


def resampled_means(scores: Array, random: Generator, resamples: int = RESAMPLES) -> Array:
    """Means of `scores`, (questions, columns), over `resamples` draws of questions: (resamples, columns).

    All columns are drawn together. NaN: this column has no such question; its mean goes over those it has,
    and is NaN in a draw that holds none of them.
    """
    present = ~np.isnan(scores)
    filled, present = np.where(present, scores, 0.0), present.astype(float)
    with np.errstate(invalid="ignore"):
        means = [(counts @ filled) / (counts @ present) for counts in draws(len(scores), random, resamples)]
    return np.concatenate(means)


def resampled_languages(
    scores: Mapping[str, Mapping[Measure, ScoresById]],
    *,
    parallel: bool,
    random: Generator,
    resamples: int = RESAMPLES,
) -> dict[str, dict[Measure, Array]]:
    """Resampled means, (resamples,) each, of the scores by question id under every language and key.

    `parallel`: the same id is the same question, so it is drawn for all languages at once. Else every
    language is drawn by itself. Keys, metrics or models, always share the draws of a language: the
    difference of two of them is that of paired scores.
    """
    if not parallel:
        return {
            language: _resampled_table(by_id, random, resamples)
            for language, by_id in scores.items()
            if by_id
        }
    table = {(language, key): by_id for language, keys in scores.items() for key, by_id in keys.items()}
    means: dict[str, dict[Measure, Array]] = {}
    for (language, key), drawn in _resampled_table(table, random, resamples).items():
        means.setdefault(language, {})[key] = drawn
    return means


def _resampled_table(
    scores: Mapping[Measure, ScoresById], random: Generator, resamples: int
) -> dict[Measure, Array]:
    ids = list(dict.fromkeys(id for by_id in scores.values() for id in by_id))
    table = np.array([[by_id.get(id, np.nan) for by_id in scores.values()] for id in ids])
    return dict(zip(scores, resampled_means(table, random, resamples).T, strict=True))


@functools.cache
def seed_shares(seeds: int, seed: int, resamples: int = RESAMPLES) -> Array:
    """The share of each of a training's seeds in each draw of as many: (seeds, resamples).

    The same shares for everything that has as many seeds, so that what was trained with one seed stays
    together.
    """
    drawn = generator(seed, "seeds").multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return np.asarray(drawn.T / seeds)


def interval(resampled: Array) -> Interval:
    """The 95 % percentile interval. Draws without a mean, NaN, are left out."""
    low, high = interval_ends(resampled)
    return Interval(float(low), float(high))


def interval_ends(resampled: Array) -> Array:
    """The ends of the 95 % percentile intervals of (resamples, ...): (2, ...), NaN where all draws are."""
    quantile = np.nanquantile if np.isnan(resampled).any() else np.quantile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns that are all NaN
        return np.asarray(quantile(resampled, (_TAIL, 1 - _TAIL), axis=0))


def unanimous_interval(value: float, count: int, *, lowest: float = 0.0, highest: float = 1.0) -> Interval:
    """The interval of the mean where all `count` scores are `value`, and resampling would show no doubt.

    Up to a share u = 1 - 0.025^(1/count) of all questions could be otherwise, at worst the `lowest` or the
    `highest` score. For right and wrong, 1 and 0, that is the exact interval of Clopper and Pearson.
    """
    share = 1 - _TAIL ** (1 / count)
    return Interval(value + share * (lowest - value), value + share * (highest - value))


def standard_error(scores: Mapping[str, ScoresById], *, parallel: bool) -> float | None:
    """Standard error of the average over languages, from every language's scores by question id.

    A question adds c = Σ_l (score_l - mean_l) / (n_l L) to the average's error, and the error is the root of
    Σ c² Q / (Q - 1) over Q questions: for one language lm-evaluation-harness's s / sqrt(n). Languages that
    are not `parallel` err independently. None where there is only one question.
    """
    if parallel:
        return _joint_error(scores)
    return independent_error([_joint_error({language: by_id}) for language, by_id in scores.items()])


def _joint_error(scores: Mapping[str, ScoresById]) -> float | None:
    parts: dict[Id, float] = {}
    for by_id in scores.values():
        mean = math.fsum(by_id.values()) / len(by_id)
        for id, score in by_id.items():
            parts[id] = parts.get(id, 0.0) + (score - mean) / (len(by_id) * len(scores))
    if len(parts) < 2:
        return None
    return math.sqrt(math.fsum(part**2 for part in parts.values()) * len(parts) / (len(parts) - 1))


def independent_error(errors: Sequence[float | None]) -> float | None:
    """Standard error of an average whose k parts err independently: sqrt(Σ error²) / k, as in the harness."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) / len(errors) if len(known) == len(errors) else None
