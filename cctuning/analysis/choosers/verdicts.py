"""Scores of choosers on the same questions, with intervals: differences are taken question by question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cctuning.evaluation.statistics import Interval, Scores, generator, resampled_languages
from cctuning.evaluation.summary import estimates

BASELINES = ("original", "fixed_pair")  # what all others are compared with


@dataclass(frozen=True)
class Score:
    """An accuracy in [0, 1], or a difference of two in [-1, 1], with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Verdict:
    """What one chooser, or one of the references, is worth."""

    name: str
    accuracy: Score
    over_original: Score | None  # None of the original itself
    over_fixed_pair: Score | None  # and of the fixed pair itself
    pairs: int | None  # how many distinct pairs it chose; None of a reference that chooses none


ByLanguage = dict[str | None, Score]  # under None the mean over languages, each counted equally


class Verdicts:
    """What is known of choosers by their scores: by language, name and question id."""

    def __init__(
        self,
        scores: Mapping[str, Mapping[str, Scores]],
        *,
        benchmark: str,
        parallel: bool,
        seed: int,
        resamples: int,
    ) -> None:
        """`parallel`: the same id is the same question in every language, so it is drawn for all at once."""
        self._scores = scores
        self._parallel = parallel
        random = generator(seed, benchmark, "choosers")
        self._drawn = resampled_languages(scores, parallel=parallel, random=random, resamples=resamples)

    def accuracy(self, name: str) -> ByLanguage:
        """The share of questions that are answered right."""
        own = {language: scores[name] for language, scores in self._scores.items()}
        drawn = {language: means[name] for language, means in self._drawn.items()}
        found = estimates(own, drawn, parallel=self._parallel)
        return {language: Score(one.value, one.interval) for language, one in found.items()}

    def difference(self, name: str, baseline: str) -> ByLanguage:
        """The same less the baseline's, of every draw of questions."""
        own = {
            language: {id: score - scores[baseline][id] for id, score in scores[name].items()}
            for language, scores in self._scores.items()
        }
        drawn = {language: means[name] - means[baseline] for language, means in self._drawn.items()}
        found = estimates(own, drawn, parallel=self._parallel, lowest=-1.0)
        return {language: Score(one.value, one.interval) for language, one in found.items()}

    def of(self, name: str, pairs: Mapping[str | None, int]) -> dict[str | None, Verdict]:
        """All of one chooser. `pairs`: how many distinct ones it chose."""
        accuracy = self.accuracy(name)
        original, fixed = (
            self.difference(name, baseline) if name != baseline else {} for baseline in BASELINES
        )
        return {
            language: Verdict(name, score, original.get(language), fixed.get(language), pairs.get(language))
            for language, score in accuracy.items()
        }
