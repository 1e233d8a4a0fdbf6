"""Uncertainty of means over questions, for arrays of any shape: 95 % intervals by resampling the questions.

Where the languages of a benchmark hold the same questions, a question is drawn for all of them at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm as normal
from scipy.stats import t as student

from cctuning.stats.bootstrap import RESAMPLES, Array, draws, interval_ends, unanimous_interval

MEAN = "mean"  # in the place of a language: the mean over languages, each counted equally
POOLED = "pooled"  # the mean over the questions of all languages, each counted equally
PAIR_RESAMPLES = 1_000  # draws for what is estimated of every layer pair, in the thousands

Estimates: TypeAlias = "dict[str, Estimate]"  # by language, MEAN and POOLED
Limits: TypeAlias = tuple[float, float]
ScoreArray: TypeAlias = NDArray[Any]  # (Q, ...): numbers, or right and wrong


@dataclass(frozen=True)
class Estimate:
    """A quantity with the ends of its 95 % interval, of one shape.

    NaN: there is nothing to tell the quantity from, or nothing to tell how sure it is.
    """

    value: Array
    low: Array
    high: Array
    questions: int  # that it rests on; of several languages, a question that they share counts once


def spread(estimates: Estimates) -> Estimates:
    """The standard deviation of the languages' values, under MEAN and without an interval.

    As the authors state it: of all languages, not of a sample of them. A NaN does not count.
    """
    values = np.stack([estimate.value for name, estimate in estimates.items() if name not in (MEAN, POOLED)])
    defined = ~np.isnan(values)
    mean = _ratio(np.nan_to_num(values).sum(0), defined.sum(0))
    variance = _ratio(np.where(defined, (values - mean) ** 2, 0.0).sum(0), defined.sum(0))
    return {MEAN: _without_interval(np.sqrt(variance), estimates[MEAN].questions)}


class Resampling:
    """Draws of the questions of a benchmark's languages, the same ones for everything that is estimated."""

    def __init__(
        self,
        ids: Mapping[str, Sequence[str]],
        *,
        parallel: bool,
        random: Generator,
        resamples: int = RESAMPLES,
    ) -> None:
        """`ids`: the questions of each language. `parallel`: the same id is the same question in all."""
        self._ids = {language: tuple(questions) for language, questions in ids.items()}
        self._parallel = parallel
        distinct = dict.fromkeys(id for questions in ids.values() for id in questions)
        # How often a question of a language is in each draw: (resamples, Q).
        self._counts: dict[str, Array] = {}
        if parallel:
            drawn = np.concatenate(list(draws(len(distinct), random, resamples)))
            places = {id: place for place, id in enumerate(distinct)}
            for language, questions in ids.items():
                self._counts[language] = drawn[:, [places[id] for id in questions]]
        else:
            for language, questions in ids.items():
                self._counts[language] = np.concatenate(list(draws(len(questions), random, resamples)))

    def described(self, values: Mapping[str, float | Array]) -> Estimates:
        """Numbers or arrays that are no means over questions, without intervals; then MEAN, without NaN."""
        arrays = {language: np.asarray(value, float) for language, value in values.items()}
        defined = [~np.isnan(value) for value in arrays.values()]
        mean = _ratio(sum(map(np.nan_to_num, arrays.values())), sum(defined))
        of_languages = {
            language: _without_interval(value, len(self._ids[language])) for language, value in arrays.items()
        }
        whole = {language: np.ones(len(self._ids[language]), bool) for language in arrays}
        return of_languages | {MEAN: _without_interval(mean, self._distinct(whole))}

    def estimate(
        self,
        scores: Mapping[str, ScoreArray],
        weights: Mapping[str, ScoreArray] | None = None,
        *,
        limits: Limits | None = (0.0, 1.0),
        resamples: int | None = None,
    ) -> Estimates:
        """The means over questions of every language's scores, (Q, ...); then MEAN and POOLED.

        With `weights`, of the same shape, a mean is Σ scores / Σ weights: scores are sums over that many
        answers to a question. Without any it is NaN, and the language is left out of MEAN.

        Where all scores are alike, resampling shows no doubt. `limits` are for scores of one answer to a
        question, right and wrong, or of a difference of two: the lowest and the highest there can be. The
        interval is then the exact one of a unanimous vote. None is for means over several answers, as of all
        layer pairs, of which no such thing is known: they have no interval there (NaN). `resamples`: only so
        many of the draws.
        """
        estimates: Estimates = {}
        means = _Means(limits)
        known = {}
        for language, values in scores.items():
            ones = np.ones((len(values), *(1 for _ in values.shape[1:])))  # for all columns at once
            weight = ones if weights is None else weights[language].astype(float)
            counts = self._counts[language][:resamples]
            estimates[language] = means.add(counts, values.astype(float), weight)
            known[language] = weight > 0
        return estimates | means.together(self._distinct(known))

    def mean_of_known(
        self,
        scores: Mapping[str, ScoreArray],
        axes: tuple[int, ...] = (),
        *,
        limits: Limits | None = None,
        resamples: int | None = None,
    ) -> Estimates:
        """The mean over all scores that are no NaN, of all questions and over `axes` of each: `estimate`."""
        known = {language: ~np.isnan(values) for language, values in scores.items()}
        return self.estimate(
            {language: np.nan_to_num(values).sum(axes) for language, values in scores.items()},
            {language: flags.sum(axes) for language, flags in known.items()},
            limits=limits,
            resamples=resamples,
        )

    def simultaneous(self, scores: Mapping[str, ScoreArray]) -> Estimate:
        """The mean over languages of scores (Q, ...), by `mean_of_known`, with intervals for all at once.

        In 95 % of cases all intervals hold, so the best of many quantities may be judged by its own. They are
        value ± t s, where s is the standard deviation of the resampled means, and t the 95 % point of the
        largest deviation in s among all quantities (max-t bootstrap). Both are corrected for the number of
        questions, t by Student's distribution in place of the normal one. NaN: all questions score alike.
        """
        totals: list[Any] = [0.0, 0.0]  # of the questions, of all draws
        languages: Any = 0
        for language, values in scores.items():
            known = (~np.isnan(values)).astype(float)
            filled = np.nan_to_num(values)
            counts = self._counts[language][:PAIR_RESAMPLES]
            mean = _ratio(filled.sum(0), known.sum(0))
            drawn = _ratio(np.tensordot(counts, filled, 1), np.tensordot(counts, known, 1))
            totals = [totals[0] + np.nan_to_num(mean), totals[1] + np.nan_to_num(drawn, nan=0.0)]
            languages = languages + ~np.isnan(mean)
        value, resampled = (_ratio(total, languages) for total in totals)
        questions = self._distinct({language: ~np.isnan(values) for language, values in scores.items()})
        freedom = max(1, questions - 1)
        deviation = resampled.std(0) * np.sqrt(questions / freedom)
        deviation = np.where(deviation > 1e-9 * np.abs(value), deviation, np.nan)
        if np.isnan(deviation).all():
            return _without_interval(value, questions)
        largest = np.nanmax(np.abs(resampled - value) / deviation, axis=tuple(range(1, resampled.ndim)))
        half = student.isf(normal.sf(np.quantile(largest, 0.95)), freedom) * deviation
        return Estimate(value, value - half, value + half, questions)

    def _distinct(self, known: Mapping[str, NDArray[np.bool_]]) -> int:
        """The number of questions of which anything is known, (Q, ...), in any of these languages."""
        ids = [
            id
            for language, flags in known.items()
            for id, of_question in zip(self._ids[language], flags, strict=True)
            if np.any(of_question)
        ]
        return len(set(ids)) if self._parallel else len(ids)


class _Means:
    """Takes the scores of one language after another, and keeps what their means are made of."""

    def __init__(self, limits: Limits | None) -> None:
        self._limits = limits
        # Sums over languages, of the questions (index 0) and of all draws (1).
        self._means: list[Any] = [0.0, 0.0]
        self._sums: list[Any] = [0.0, 0.0]
        self._weights: list[Any] = [0.0, 0.0]
        self._languages: Any = 0
        self._alike: Any = True

    def add(self, counts: Array, scores: Array, weights: Array) -> Estimate:
        """The estimate of a language: `counts` (resamples, Q), `scores` and `weights` (Q, ...)."""
        drawn = (np.tensordot(counts, scores, 1), np.tensordot(counts, weights, 1))
        value, resampled = _ratio(scores.sum(0), weights.sum(0)), _ratio(*drawn)
        defined = ~np.isnan(value)
        alike = _alike(scores, weights)
        for place, (mean, total, weight) in enumerate(
            [(value, scores.sum(0), weights.sum(0)), (resampled, *drawn)]
        ):
            self._means[place] = self._means[place] + np.where(defined, mean, 0.0)
            self._sums[place] = self._sums[place] + total
            self._weights[place] = self._weights[place] + weight
        self._languages = self._languages + defined
        self._alike = self._alike & (alike | ~defined)
        weighty = weights > 0
        questions = int(weighty.any(tuple(range(1, weighty.ndim))).sum())
        counted = np.broadcast_to(weighty.sum(0), value.shape)
        return _estimate(value, resampled, alike, counted, self._limits, questions)

    def together(self, questions: int) -> Estimates:
        """MEAN and POOLED of all languages, which have so many questions."""
        estimates = {}
        counts = np.full(np.shape(self._alike), questions)
        for name, sums, weights in [
            (MEAN, self._means, [self._languages] * 2),
            (POOLED, self._sums, self._weights),
        ]:
            value, resampled = (_ratio(total, weight) for total, weight in zip(sums, weights, strict=True))
            estimates[name] = _estimate(value, resampled, self._alike, counts, self._limits, questions)
        return estimates


def _without_interval(value: Array, questions: int) -> Estimate:
    nothing = np.full_like(value, np.nan)
    return Estimate(value, nothing, nothing, questions)


def _ratio(sums: Any, weights: Any) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.equal(weights, 0), np.nan, np.divide(sums, weights))


def _alike(scores: Array, weights: Array) -> NDArray[np.bool_]:
    """Whether all questions that weigh anything have the same mean: (...)."""
    means = _ratio(scores, weights)
    first = np.where(np.isnan(means), -np.inf, means).max(0)
    return np.asarray((np.isnan(means) | (means == first)).all(0))


def _estimate(
    value: Array,
    resampled: Array,
    alike: NDArray[np.bool_],
    counts: NDArray[Any],
    limits: Limits | None,
    questions: int,
) -> Estimate:
    ends = interval_ends(resampled)
    if limits is None:
        ends = np.where(alike, np.nan, ends)
    else:
        lowest, highest = limits
        for place in map(tuple, np.argwhere(alike & ~np.isnan(value))):
            count = int(counts[place])
            ends[:, *place] = unanimous_interval(float(value[place]), count, lowest=lowest, highest=highest)
    return Estimate(value, np.asarray(ends[0]), np.asarray(ends[1]), questions)
