"""Models compared on the same questions: differences to a baseline, and how sure they are."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from cctuning.evaluation.comparison.evaluations import (
    Evaluation,
    TaskScores,
    common_questions,
    common_tasks,
    small_languages,
    unfair,
)
from cctuning.evaluation.comparison.paired import PairedScores
from cctuning.evaluation.results.summary import MeanScore, average
from cctuning.settings.near_matches import did_you_mean
from cctuning.stats.bootstrap import Id, Interval, ScoresById, generator
from cctuning.stats.significance import bootstrap_p, holm, mcnemar_p, unanimous_p

AVERAGE = "average"  # stands in the place of a benchmark and of a metric for the mean of all benchmarks
# More than for one evaluation: the smallest p, 2 / (resamples + 1), must bear a correction for 60 tasks.
COMPARISON_RESAMPLES = 20_000

_LEVELS = (0.05, 0.01, 0.001)


@dataclass(frozen=True)
class Difference:
    """A score less the baseline's on the same questions, from -1 to 1."""

    value: float
    interval: Interval  # 95 %, by paired bootstrap
    p: float  # by paired bootstrap, two-sided
    only_baseline: int | None  # questions that only the baseline got right; None where scores are no 0 or 1
    only_this: int | None
    mcnemar_p: float | None  # exact, two-sided
    p_holm: float  # McNemar's where there is one, else the bootstrap's, corrected by Holm

    @property
    def stars(self) -> str:
        """One for each of p_holm < 0.05, 0.01, 0.001."""
        return "*" * sum(self.p_holm < level for level in _LEVELS)


@dataclass(frozen=True)
class ComparedScore:
    """The score of one model on one task or average, and its difference to the baseline."""

    benchmark: str
    title: str
    metric: str
    is_main: bool  # the papers report this metric
    language: str | None  # None: the mean over languages
    name: str  # of the model
    score: float
    interval: Interval  # 95 %
    questions: int
    difference: Difference | None  # None for the baseline


@dataclass(frozen=True)
class Comparison:
    """Everything that tables and figures show. The first name is the baseline's."""

    names: list[str]
    folders: list[str]
    warnings: list[str]
    scores: list[ComparedScore]

    def as_json(self) -> dict[str, Any]:
        """As values for a JSON file."""
        return asdict(self) | {
            "scores": [
                asdict(score) | ({"stars": score.difference.stars} if score.difference else {})
                for score in self.scores
            ]
        }

    def panels(self, metric: str | None = None) -> list[list[ComparedScore]]:
        """The scores to show, one list per benchmark and metric, the mean over all benchmarks last.

        `metric`: a key (f1,strict), a name (f1) or a rule (strict); None: what the papers report. Raises
        `ValueError` where no benchmark has it.
        """
        keys = dict.fromkeys(
            (score.benchmark, score.metric) for score in self.scores if _is_shown(score, metric)
        )
        if not keys:
            known = dict.fromkeys(score.metric for score in self.scores)
            raise ValueError(
                f"metric={metric} is none of the scores {'; '.join(known)}{did_you_mean(str(metric), known)}"
            )
        return [[score for score in self.scores if (score.benchmark, score.metric) == key] for key in keys]


def _is_shown(score: ComparedScore, metric: str | None) -> bool:
    name, _, rule = score.metric.partition(",")
    return score.is_main if metric is None else metric in (score.metric, name, rule)


def compare(
    evaluations: Sequence[Evaluation],
    names: Sequence[str],
    *,
    common_only: bool = False,
    resamples: int = COMPARISON_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares all with the first, on the tasks and metrics that all have.

    Holm's correction is over all languages and benchmarks of one model under one rule (paper, strict, ...),
    and apart from it over the averages. Raises `ValueError` for fewer than two evaluations, one that is there
    twice, no common task, and questions that not all were asked, unless `common_only`.
    """
    if len(evaluations) < 2:
        raise ValueError(f"a comparison needs two result folders or more, not {len(evaluations)}")
    folders = [evaluation.folder.resolve() for evaluation in evaluations]
    if twice := next((folder for folder in folders if folders.count(folder) > 1), None):
        raise ValueError(f"{twice} is there twice")
    tasks = common_tasks(evaluations, names)
    warnings = unfair(evaluations, names, tasks)
    questions: dict[str, list[Id]] = {}
    for task in tasks:
        questions[task], warning = common_questions(task, evaluations, names, common_only=common_only)
        warnings += [warning] if warning else []
    warnings += small_languages(questions, evaluations[0])
    scores = scores_on(questions, evaluations, names, resamples=resamples, seed=seed)
    return Comparison(
        list(names), [str(evaluation.folder) for evaluation in evaluations], warnings, _with_holm(scores)
    )


def scores_on(
    questions: Mapping[str, Sequence[Id]],
    evaluations: Sequence[Evaluation],
    names: Sequence[str],
    *,
    resamples: int = COMPARISON_RESAMPLES,
    seed: int = 0,
) -> list[ComparedScore]:
    """Every score of one evaluation or more on `questions`, the ids of each task; p values as they are."""
    scores: list[ComparedScore] = []
    means: list[list[_Mean]] = []
    tasks = evaluations[0].tasks
    for benchmark in dict.fromkeys(tasks[task].benchmark for task in questions):
        of_benchmark = {task: ids for task, ids in questions.items() if tasks[task].benchmark == benchmark}
        random = generator(seed, benchmark)
        paired = PairedScores(evaluations, of_benchmark, random=random, resamples=resamples, seed=seed)
        rows, mean = _benchmark_scores(paired, tasks[next(iter(of_benchmark))], names)
        scores += rows
        means += [mean] if mean else []
    if len(means) > 1:
        scores += _average_scores(means, names)
    return scores


class _Mean(NamedTuple):
    """A model's mean over the languages of a benchmark, and its difference to the baseline's."""

    score: MeanScore
    difference: MeanScore | None


def _benchmark_scores(
    paired: PairedScores, task: TaskScores, names: Sequence[str]
) -> tuple[list[ComparedScore], list[_Mean]]:
    """All scores of a benchmark, one of whose tasks is `task`; and each model's mean of its main metric."""
    rows: list[ComparedScore] = []
    means: list[_Mean] = []
    for metric, (number, name) in itertools.product(paired.metrics, enumerate(names)):
        estimates = paired.estimates(number, metric)
        differences = paired.differences(number, metric) if number else {}
        for language, estimate in estimates.items():
            difference = None
            if number:
                pair = [paired.scores(n, metric, language) for n in (0, number)] if language else []
                difference = _difference(differences[language], *pair)
            rows.append(
                ComparedScore(
                    benchmark=task.benchmark,
                    title=task.title,
                    metric=metric,
                    is_main=metric == task.main_metric,
                    language=language,
                    name=name,
                    score=estimate.value,
                    interval=estimate.interval,
                    questions=estimate.questions,
                    difference=difference,
                )
            )
        if metric == task.main_metric:
            means.append(_Mean(estimates[None], differences.get(None)))
    return rows, means


def _average_scores(means: Sequence[Sequence[_Mean]], names: Sequence[str]) -> Iterator[ComparedScore]:
    """The mean over benchmarks of what the papers report, for each model."""
    for number, name in enumerate(names):
        score = average([by_model[number].score for by_model in means])
        differences = [by_model[number].difference for by_model in means]
        known = [difference for difference in differences if difference is not None]
        yield ComparedScore(
            benchmark=AVERAGE,
            title=f"mean of {len(means)}",
            metric="score,paper",
            is_main=True,
            language=None,
            name=name,
            score=score.value,
            interval=score.interval,
            questions=score.questions,
            difference=_difference(average(known, lowest=-1.0)) if known else None,
        )


def _difference(
    estimate: MeanScore, baseline: ScoresById | None = None, scores: ScoresById | None = None
) -> Difference:
    """A difference with its tests; McNemar's where the scores of both are given, and only right or wrong."""
    only_baseline = only_this = p_mcnemar = None
    if baseline and scores and {*baseline.values(), *scores.values()} <= {0.0, 1.0}:
        only_baseline = sum(baseline[id] > scores[id] for id in scores)
        only_this = sum(scores[id] > baseline[id] for id in scores)
        p_mcnemar = mcnemar_p(only_baseline, only_this)
    if estimate.unanimous:
        p = unanimous_p(estimate.value, estimate.questions)
    else:
        p = bootstrap_p(estimate.resampled)
    return Difference(
        value=estimate.value,
        interval=estimate.interval,
        p=p,
        only_baseline=only_baseline,
        only_this=only_this,
        mcnemar_p=p_mcnemar,
        p_holm=p,  # until all are known
    )


def _with_holm(scores: Sequence[ComparedScore]) -> list[ComparedScore]:
    """The scores with corrected p values, family by family."""
    families: dict[tuple[str, str, bool], list[int]] = {}
    for place, score in enumerate(scores):
        if score.difference is not None:
            rule = score.metric.partition(",")[2]
            families.setdefault((score.name, rule, score.language is None), []).append(place)
    corrected = list(scores)
    for places in families.values():
        differences = [difference for place in places if (difference := scores[place].difference)]
        p_values = [
            difference.p if difference.mcnemar_p is None else difference.mcnemar_p
            for difference in differences
        ]
        for place, difference, p in zip(places, differences, holm(p_values), strict=True):
            corrected[place] = replace(scores[place], difference=replace(difference, p_holm=p))
    return corrected
