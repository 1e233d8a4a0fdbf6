"""Scores of the chosen pairs on unseen questions, beside the original and other evaluations of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Answers
from cctuning.data.language_id import language_consistency
from cctuning.evaluation.asking.samples import CONSISTENCY
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.comparison.compare import COMPARISON_RESAMPLES, compare
from cctuning.evaluation.comparison.evaluations import Evaluation, TaskScores
from cctuning.stats.bootstrap import ScoresById

ORIGINAL, SOURCE = "original", "source"  # the model as it is, asked the target and the source prompt


def compare_unseen(
    applied: Sequence[Applied],
    others: Mapping[str, Evaluation] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    centre: str = "en",
    seed: int = 0,
    resamples: int = COMPARISON_RESAMPLES,
) -> dict[str, Any]:
    """Accuracy of the original, the source and every strategy, and their differences to the original.

    `applied`: the languages and benchmarks of one sub-layer, all with the same strategies. `others`:
    evaluations of the unseen questions by name, of chains of thought, prompts in two languages, fine-tuned
    models; each is compared with the original on the questions that both were asked. `settings`: how the
    study asked, by the names that evaluations have; where an evaluation was asked otherwise, a warning says
    so, except of a prompting that it is named after. Returns `scores`, in
    the shape of `cctuning.evaluation.comparison.compare.ComparedScore` (a language of None is the mean over
    languages, the benchmark `average` that over benchmarks), `consistency` in the same shape, and `warnings`.
    Consistency is the share of answers in the question's language, of those of which that can be
    said, in all languages but `centre`. Raises `ValueError` for another
    evaluation that has a strategy's name, and for one without any of the same questions.
    """
    names = [ORIGINAL, SOURCE, *applied[0].strategies]
    if taken := next((name for name in others or {} if name in names), None):
        raise ValueError(f"{taken!r} is a strategy's name already: give these results another one")
    evaluations = [_evaluation(name, applied, settings or {}, centre) for name in names]
    content = compare(evaluations, names, seed=seed, resamples=resamples).as_json()
    scores, warnings = content["scores"], content["warnings"]
    for name, other in (others or {}).items():
        compared = compare(
            [evaluations[0], _same_questions(name, other, evaluations[0])],
            [ORIGINAL, name],
            common_only=True,
            seed=seed,
            resamples=resamples,
        ).as_json()
        scores += [score for score in compared["scores"] if score["name"] == name]
        warnings += compared["warnings"]
    consistency = [score for score in scores if score["metric"] == CONSISTENCY]
    accuracy = [score for score in scores if score["metric"] != CONSISTENCY]
    return {"scores": accuracy, "consistency": consistency, "warnings": list(dict.fromkeys(warnings))}


def _evaluation(
    name: str, applied: Sequence[Applied], settings: Mapping[str, Any], centre: str
) -> Evaluation:
    """Answers as if cctuning evaluate had scored them."""
    tasks = {}
    for task in applied:
        benchmark = find_benchmark(task.benchmark)
        metric = benchmark.metrics[0].key
        answers = {ORIGINAL: task.target, SOURCE: task.source, **task.strategies}[name]
        scores: dict[str, ScoresById] = {
            metric: dict(zip(task.questions, map(float, answers.correct), strict=True))
        }
        if task.language != centre and (consistent := _consistency(task, answers)):
            scores[CONSISTENCY] = consistent
        tasks[f"{task.benchmark}_{task.language}"] = TaskScores(
            benchmark=task.benchmark,
            title=benchmark.title,
            language=task.language,
            parallel=benchmark.parallel,
            main_metric=metric,
            questions=dict(zip(task.questions, task.fingerprints, strict=True)),
            scores=scores,
        )
    return Evaluation(Path(name), settings, tasks)


def _consistency(task: Applied, answers: Answers) -> ScoresById:
    """By question whether the answer is in the question's language, where that can be said."""
    texts = [distinct[place] for distinct, place in zip(task.texts, answers.text, strict=True)]
    scores = (language_consistency(text, task.asked_in) for text in texts)
    return {id: score for id, score in zip(task.questions, scores, strict=True) if score is not None}


def _same_questions(name: str, other: Evaluation, original: Evaluation) -> Evaluation:
    """`other` with ids as text, as they are in cells, and without questions that only share an id."""
    tasks = {}
    for key, task in other.tasks.items():
        known = original.tasks[key].questions if key in original.tasks else {}
        same = {id for id, mark in task.questions.items() if known.get(str(id)) == mark}
        if same:
            tasks[key] = replace(
                task,
                questions={str(id): task.questions[id] for id in same},
                scores={
                    metric: {str(id): score for id, score in scores.items() if id in same}
                    for metric, scores in task.scores.items()
                },
            )
    if not tasks:
        raise ValueError(f"{name} ({other.folder}) holds none of the unseen questions of this study")
    # What is not known of a study cannot be compared, and a line called pim is meant to be prompted so.
    config = {key: other.config.get(key) for key in original.config}
    if name == config.get("prompting"):
        config["prompting"] = original.config["prompting"]
    return Evaluation(Path(name), config, tasks)
