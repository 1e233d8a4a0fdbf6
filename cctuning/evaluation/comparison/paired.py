"""Scores of several models on the same questions of one benchmark: all are drawn together.

Of models that were trained with several seeds, seeds are drawn as well as questions (two-way bootstrap): the
same ones for all models, languages and benchmarks.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from cctuning.evaluation.comparison.evaluations import Evaluation
from cctuning.evaluation.results.summary import MeanScore, estimates
from cctuning.stats.bootstrap import Array, Id, ScoresById, resampled_languages, seed_shares


class PairedScores:
    """Scores of each evaluation, by its number, on the questions of a benchmark that all have scored."""

    def __init__(
        self,
        evaluations: Sequence[Evaluation],
        questions: Mapping[str, Sequence[Id]],
        *,
        random: Generator,
        resamples: int,
        seed: int = 0,
    ) -> None:
        """`questions`: the ids to compare of each task of the benchmark. `seed`: of the draws of seeds."""
        tasks = evaluations[0].tasks
        self.parallel = tasks[next(iter(questions))].parallel
        # Per language the scores of each evaluation, by its number, under each metric.
        self._scores: dict[str, dict[tuple[int, str], ScoresById]] = {}
        of_seeds: dict[str, dict[tuple[int, str, int], ScoresById]] = {}
        for task, ids in questions.items():
            compared = [evaluation.tasks[task] for evaluation in evaluations]
            common = _common_scores([of_task.scores for of_task in compared], ids)
            self._scores[tasks[task].language] = common
            of_seeds[tasks[task].language] = {
                (number, metric, place): {id: scores[metric][id] for id in by_id}
                for (number, metric), by_id in common.items()
                for place, scores in enumerate(compared[number].seeds)
            }
        if not any(self._scores.values()):
            raise ValueError(f"{', '.join(questions)}: the result folders have no score in common")
        self._drawn = {
            language: _over_seeds(drawn, seed, resamples)
            for language, drawn in resampled_languages(
                of_seeds, parallel=self.parallel, random=random, resamples=resamples
            ).items()
        }
        self.metrics = list(
            dict.fromkeys(metric for by_metric in self._scores.values() for _, metric in by_metric)
        )

    def languages(self, metric: str) -> list[str]:
        """The languages with scores of this metric."""
        return [language for language, by_metric in self._scores.items() if (0, metric) in by_metric]

    def scores(self, number: int, metric: str, language: str) -> ScoresById:
        """By question id."""
        return self._scores[language][number, metric]

    def estimates(self, number: int, metric: str) -> dict[str | None, MeanScore]:
        """The mean of each language, and under None that of the languages."""
        languages = self.languages(metric)
        return estimates(
            {language: self._scores[language][number, metric] for language in languages},
            {language: self._drawn[language][number, metric] for language in languages},
            parallel=self.parallel,
        )

    def differences(self, number: int, metric: str) -> dict[str | None, MeanScore]:
        """The same of every question's score less that of evaluation 0."""
        scores, drawn = {}, {}
        for language in self.languages(metric):
            by_id, base = self._scores[language][number, metric], self._scores[language][0, metric]
            scores[language] = {id: by_id[id] - base[id] for id in by_id}
            drawn[language] = self._drawn[language][number, metric] - self._drawn[language][0, metric]
        return estimates(scores, drawn, parallel=self.parallel, lowest=-1.0)


def _common_scores(
    evaluations: Sequence[Mapping[str, ScoresById]], ids: Sequence[Id]
) -> dict[tuple[int, str], ScoresById]:
    """By number of the evaluation and metric, the scores of the questions that all have scored."""
    common: dict[tuple[int, str], ScoresById] = {}
    for metric in evaluations[0]:
        scores = [metrics.get(metric, {}) for metrics in evaluations]
        if scored := [id for id in ids if all(id in by_id for by_id in scores)]:
            for number, by_id in enumerate(scores):
                common[number, metric] = {id: by_id[id] for id in scored}
    return common


def _over_seeds(
    drawn: Mapping[tuple[int, str, int], Array], seed: int, resamples: int
) -> dict[tuple[int, str], Array]:
    """By number of the evaluation and metric the resampled means, of which each draw takes seeds anew."""
    of_seeds: dict[tuple[int, str], list[Array]] = {}
    for (number, metric, _), means in drawn.items():
        of_seeds.setdefault((number, metric), []).append(means)
    return {
        key: means[0] if len(means) == 1 else np.sum(seed_shares(len(means), seed, resamples) * means, axis=0)
        for key, means in of_seeds.items()
    }
