"""What the chosen pairs give on unseen questions, beside the original and other evaluations of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Answers
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.comparison.compare import COMPARISON_RESAMPLES, compare
from cctuning.evaluation.comparison.evaluations import Evaluation, TaskScores

ORIGINAL, SOURCE = "original", "source"  # the model as it is, asked the target and the source prompt


def compare_unseen(
    applied: Sequence[Applied],
    others: Mapping[str, Evaluation] | None = None,
    *,
    seed: int = 0,
    resamples: int = COMPARISON_RESAMPLES,
) -> dict[str, Any]:
    """Accuracy of the original, the source and every strategy, and their differences to the original.

    `applied`: the languages and benchmarks of one sub-layer, all with the same strategies. `others`:
    evaluations of the unseen questions by name, of chains of thought, prompts in two languages, fine-tuned
    models; each is compared with the original on the questions that both were asked. Returns `scores`, in
    the shape of `cctuning.evaluation.comparison.compare.ComparedScore` (a language of None is the mean over
    languages, the benchmark `average` that over benchmarks), and `warnings`. Raises `ValueError` for another
    evaluation that has a strategy's name, and for one without any of the same questions.
    """
    names = [ORIGINAL, SOURCE, *applied[0].strategies]
    if taken := next((name for name in others or {} if name in names), None):
        raise ValueError(f"{taken!r} is a strategy's name already: give these results another one")
    evaluations = [_evaluation(name, applied) for name in names]
    content = compare(evaluations, names, seed=seed, resamples=resamples).as_json()
    scores, warnings = content["scores"], content["warnings"]
    for name, other in (others or {}).items():
        found = compare(
            [evaluations[0], _same_questions(name, other, evaluations[0])],
            [ORIGINAL, name],
            common_only=True,
            seed=seed,
            resamples=resamples,
        ).as_json()
        scores += [score for score in found["scores"] if score["name"] == name]
        warnings += found["warnings"]
    return {"scores": scores, "warnings": list(dict.fromkeys(warnings))}


def _evaluation(name: str, applied: Sequence[Applied]) -> Evaluation:
    """Answers as if cctuning evaluate had scored them."""
    tasks = {}
    for one in applied:
        benchmark = find_benchmark(one.benchmark)
        metric = benchmark.metrics[0].key
        right = map(float, _answers(name, one).correct)
        tasks[f"{one.benchmark}_{one.language}"] = TaskScores(
            benchmark=one.benchmark,
            title=benchmark.title,
            language=one.language,
            parallel=benchmark.parallel,
            main_metric=metric,
            questions=dict(zip(one.questions, one.fingerprints, strict=True)),
            scores={metric: dict(zip(one.questions, right, strict=True))},
        )
    return Evaluation(Path(name), {}, tasks)


def _answers(name: str, applied: Applied) -> Answers:
    return {ORIGINAL: applied.target, SOURCE: applied.source, **applied.strategies}[name]


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
    # Settings of an evaluation are not known of a study, and so are not compared.
    return Evaluation(Path(name), original.config, tasks)
