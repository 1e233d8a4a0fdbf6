"""Evaluations that are to be compared: read, named, and checked for what would make the comparison unfair."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cctuning.evaluation.results.folder import read_results, read_samples
from cctuning.evaluation.results.summary import scores_of
from cctuning.pretrained.kinds import EXPORT_FOLDER
from cctuning.stats.bootstrap import Id, ScoresById

_SHOWN = 5  # ids or tasks that a message names
# What changes scores and is not the model: a comparison across it is named.
_FEW = 10  # questions that each language of a mean should have at least
_SETTINGS = ("prompting", "max_new_tokens", "limit", "leave_out_faults", "template", "dtype")


@dataclass(frozen=True)
class TaskScores:
    """A benchmark in one language, as one model answered it."""

    benchmark: str
    title: str  # the benchmark's, as the papers write it
    language: str
    parallel: bool  # the same id is the same question in every language
    main_metric: str
    questions: Mapping[Id, str]  # a hash of each question and its gold answers
    scores: Mapping[str, ScoresById]  # by metric; of several seeds, the mean of each question
    joined: Sequence[Mapping[str, ScoresById]] = ()  # of several seeds, the same of each

    @property
    def seeds(self) -> Sequence[Mapping[str, ScoresById]]:
        """The scores of each seed of the training; of one they are just `scores`."""
        return self.joined or [self.scores]


@dataclass(frozen=True)
class Evaluation:
    """One result folder."""

    folder: Path
    config: Mapping[str, Any]
    tasks: Mapping[str, TaskScores]


def read_evaluation(folder: str | Path) -> Evaluation:
    """A result folder. Raises `ResultsError` where it is none, or its samples are not whole."""
    results = read_results(folder)
    tasks = {}
    for (benchmark, language), samples in read_samples(folder):
        task = f"{benchmark}_{language}"
        config = results["configs"][task]
        tasks[task] = TaskScores(
            benchmark=benchmark,
            title=config["title"],
            language=language,
            parallel=config["parallel"],
            main_metric=config["main_metric"],
            questions={sample["doc_id"]: fingerprint(sample["doc"], sample["target"]) for sample in samples},
            scores=scores_of(samples),
        )
    return Evaluation(Path(folder), results["config"], tasks)


def join_seeds(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of one recipe, trained with several seeds, as one: of each question the mean score.

    Its folder and settings are those of the first. Raises `ValueError` where they were not all asked the
    same questions.
    """
    first = evaluations[0]
    tasks = {}
    for name, task in first.tasks.items():
        others = [evaluation.tasks.get(name) for evaluation in evaluations]
        for other, evaluation in zip(others, evaluations, strict=True):
            if other is None or other.questions != task.questions:
                raise ValueError(
                    f"{first.folder} and {evaluation.folder} are of one recipe with two seeds, and were not "
                    f"asked the same questions of {name}: ask both again with the same settings"
                )
        seeds = [scores for other in others if other for scores in other.seeds]
        tasks[name] = replace(task, scores=_mean_scores(seeds), joined=seeds)
    return replace(first, tasks=tasks)


def _mean_scores(seeds: Sequence[Mapping[str, ScoresById]]) -> dict[str, ScoresById]:
    """By metric the mean score of each question that all seeds have scored."""
    means: dict[str, ScoresById] = {}
    for metric, by_id in seeds[0].items():
        of_seeds = [scores.get(metric, {}) for scores in seeds]
        scored = [id for id in by_id if all(id in scores for scores in of_seeds)]
        means[metric] = {id: math.fsum(scores[id] for scores in of_seeds) / len(seeds) for id in scored}
    return {metric: by_id for metric, by_id in means.items() if by_id}


def fingerprint(doc: Mapping[str, Any], target: Sequence[str]) -> str:
    """A hash of a question (`samples.document`) and its gold answers."""
    text = json.dumps([doc, list(target)], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# --- Names --------------------------------------------------------------------------------------------------


def name_evaluations(evaluations: Sequence[Evaluation], names: Sequence[str] = ()) -> list[str]:
    """A name for each in tables: those given, else the models', with as much more as tells them apart.

    Raises `ValueError` for names that are not one each, and different.
    """
    if names:
        if len(names) != len(evaluations):
            raise ValueError(f"names has {len(names)} names, and results {len(evaluations)} folders")
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"names holds {twice[0]!r} twice")
        return list(names)
    ways: list[Callable[[Evaluation], str]] = [
        _model_name,
        lambda run: f"{_model_name(run)}, {run.config.get('inference')}",
        lambda run: f"{_model_name(run)}, {run.config.get('inference')}, {run.config.get('prompting')}",
        lambda run: run.folder.resolve().name,
    ]
    for way in ways:
        candidates = [way(evaluation) for evaluation in evaluations]
        if len(set(candidates)) == len(candidates):
            return candidates
    return [str(evaluation.folder.resolve()) for evaluation in evaluations]


def _model_name(evaluation: Evaluation) -> str:
    """The run's folder, without what all of them share."""
    path = Path(evaluation.config.get("model_path") or evaluation.config.get("model") or evaluation.folder)
    exported = path.name.startswith(EXPORT_FOLDER)  # a study has one for each number of pairs
    return (exported and path.parent.name) or path.name


# --- What can be compared -----------------------------------------------------------------------------------


def common_tasks(evaluations: Sequence[Evaluation], names: Sequence[str]) -> list[str]:
    """The tasks that all have, in the first one's order. Raises `ValueError` where there is none."""
    common = [task for task in evaluations[0].tasks if all(task in other.tasks for other in evaluations)]
    if not common:
        held = "; ".join(
            f"{name}: {_listed(list(evaluation.tasks))}"
            for evaluation, name in zip(evaluations, names, strict=True)
        )
        raise ValueError(f"the result folders have no task in common ({held})")
    return common


def common_questions(
    task: str, evaluations: Sequence[Evaluation], names: Sequence[str], *, common_only: bool
) -> tuple[list[Id], str | None]:
    """The ids of a task's questions that all were asked, and a warning where some were asked others too.

    Raises `ValueError` where they were not all asked the same and `common_only` is off, or there are none.
    """
    questions = [evaluation.tasks[task].questions for evaluation in evaluations]
    common = [id for id in questions[0] if all(id in other for other in questions)]
    if all(len(ids) == len(common) for ids in questions):
        return common, None
    extra = [
        f"{len(ids) - len(common):,} of {name}: {_listed([id for id in ids if id not in set(common)])}"
        for ids, name in zip(questions, names, strict=True)
        if len(ids) > len(common)
    ]
    what = f"{task}: not all were asked the questions ({'; '.join(extra)})"
    if not common:
        raise ValueError(f"{what}, and no question is common to all")
    if not common_only:
        raise ValueError(f"{what}: common_only=true compares the {len(common):,} that all were asked")
    return common, f"{what}; the {len(common):,} that all were asked are compared"


def small_languages(questions: Mapping[str, Sequence[Id]], evaluation: Evaluation) -> list[str]:
    """Warns of benchmarks in which a few questions of a language count as much as many of another, in words.

    `asked`: the ids to compare of each task. A mean over languages draws questions within each, and one
    that holds a single question never varies: the mean's interval and test take its answer for certain.
    """
    warnings = []
    for benchmark in dict.fromkeys(evaluation.tasks[task].benchmark for task in questions):
        of_benchmark = {
            name: task for name in questions if (task := evaluation.tasks[name]).benchmark == benchmark
        }
        counts = {task.language: len(questions[name]) for name, task in of_benchmark.items()}
        small = {language: count for language, count in counts.items() if count < _FEW}
        first = next(iter(of_benchmark.values()))
        if first.parallel or not small or max(counts.values()) < _FEW:
            continue
        listed = ", ".join(f"{language} {count}" for language, count in small.items())
        warnings.append(
            f"{first.title}: languages with fewer than {_FEW} questions ({listed}) count as much as the "
            "others in the mean, whose interval and test do not know how little they rest on there"
        )
    return warnings


def unfair(evaluations: Sequence[Evaluation], names: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """The reasons why the comparison with the first one is unfair, in words."""
    first, first_name = evaluations[0], names[0]
    warnings = []
    for other, name in zip(evaluations[1:], names[1:], strict=True):
        for key in _SETTINGS:
            baseline, value = first.config.get(key), other.config.get(key)
            if baseline != value:
                warnings.append(f"{key} is {value} in {name}, and {baseline} in {first_name}")
        for task in tasks:
            known, questions = first.tasks[task].questions, other.tasks[task].questions
            differing = [id for id in questions if id in known and questions[id] != known[id]]
            if differing:
                warnings.append(
                    f"{task}: {len(differing):,} of {len(questions):,} questions differ in text or gold "
                    f"answer between {first_name} and {name}: {_listed(differing)}"
                )
    for evaluation, name in zip(evaluations, names, strict=True):
        if alone := [task for task in evaluation.tasks if task not in tasks]:
            warnings.append(f"not compared, because not all have it: {_listed(alone)} of {name}")
    return warnings


def _listed(things: Sequence[Id]) -> str:
    shown = ", ".join(map(str, things[:_SHOWN]))
    return f"{shown}, ..." if len(things) > _SHOWN else shown
