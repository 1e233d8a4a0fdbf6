"""From an evaluation's samples to the content of its `results.json`.

`results.json` has the shape of lm-evaluation-harness, so that its `make_table` and other tools that read
`results`, `groups`, `group_subtasks`, `n-samples`, `higher_is_better`, `configs` and `versions` take it.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeAlias

from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.results.summary import (
    MeanScore,
    average,
    estimates,
    generation_of,
    pooled,
    scores_of,
)
from cctuning.stats.bootstrap import RESAMPLES, Id, generator, resampled_languages

TaskKey: TypeAlias = tuple[str, str]  # benchmark and language
Sample: TypeAlias = Mapping[str, Any]

_PACKAGES = ("torch", "transformers")


def summarise(
    samples: Mapping[TaskKey, Sequence[Sample]],
    *,
    config: Mapping[str, Any],
    left_out: Mapping[TaskKey, Mapping[str, Sequence[Id]]] | None = None,
    speeds: Mapping[str, Mapping[str, float]] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """The content of `results.json`, from the samples of each benchmark and language.

    `config` says how they were made. `left_out`: the ids that were not asked, by reason. The ids of samples
    that were connected to their own prompt, for want of a translation, are `untranslated`. A metric's scores
    are averaged over the samples that have it. `speeds`: of each task, where it is known
    (`timings.read_speeds`). Raises `ValueError` for a task without samples, a question that is there twice,
    and a benchmark that is not known or lacks its main metric.
    """
    results: dict[str, Any] = {
        "results": {},
        "groups": {},
        "pooled": {},
        "average": {},
        "group_subtasks": {},
        "configs": {},
        "versions": {},
        "n-shot": {},
        "higher_is_better": {},
        "n-samples": {},
        "n-scored": {},
        "generation": {},
        "left_out": {},
        "untranslated": {},
        "config": dict(config),
        "packages": {name: version(name) for name in _PACKAGES},
        "date": time.time(),
    }
    averages = []
    for name in dict.fromkeys(name for name, _ in samples):
        benchmark = find_benchmark(name)
        by_language = {language: rows for (other, language), rows in samples.items() if other == name}
        for language, rows in by_language.items():
            _add_task(results, benchmark, language, rows, (left_out or {}).get((name, language), {}))
        averages.append(_add_scores(results, benchmark, by_language, seed=seed, resamples=resamples))
    if len(averages) > 1:
        results["average"] = _entries("score,paper", average(averages))
    for task, speed in (speeds or {}).items():
        if task in results["generation"]:
            results["generation"][task] |= speed
    return results


def _add_task(
    results: dict[str, Any],
    benchmark: Benchmark,
    language: str,
    samples: Sequence[Sample],
    left_out: Mapping[str, Sequence[Id]],
) -> None:
    """All that is known of a task beside its scores."""
    task = f"{benchmark.name}_{language}"
    if not samples:
        raise ValueError(f"{task} has no samples")
    [(id, count)] = Counter(sample["doc_id"] for sample in samples).most_common(1)
    if count > 1:
        raise ValueError(f"{task} holds the question {id!r} {count} times")
    shots = results["config"].get("shots", 0)
    not_asked = {id for reason in left_out.values() for id in reason}
    results["results"][task] = {"name": task, "alias": task, "sample_len": len(samples)}
    results["group_subtasks"].setdefault(benchmark.name, []).append(task)
    results["configs"][task] = {
        "task": task,
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "language": language,
        "parallel": benchmark.parallel,
        "main_metric": benchmark.metrics[0].key,
        "num_fewshot": shots,
    }
    results["versions"][task] = 1
    results["n-shot"][task] = shots
    results["higher_is_better"][task] = {}
    results["n-samples"][task] = {"original": len(samples) + len(not_asked), "effective": len(samples)}
    results["n-scored"][task] = {}
    results["generation"][task] = generation_of(samples)
    if left_out:
        results["left_out"][task] = {reason: list(ids) for reason, ids in left_out.items()}
    if untranslated := [sample["doc_id"] for sample in samples if sample.get("untranslated")]:
        results["untranslated"][task] = untranslated


def _add_scores(
    results: dict[str, Any],
    benchmark: Benchmark,
    samples: Mapping[str, Sequence[Sample]],
    *,
    seed: int,
    resamples: int,
) -> MeanScore:
    """The scores of a benchmark's languages and their averages; returns that of the main metric."""
    name, main = benchmark.name, benchmark.metrics[0].key
    scores = {language: scores_of(rows) for language, rows in samples.items()}
    drawn = resampled_languages(
        scores, parallel=benchmark.parallel, random=generator(seed, name), resamples=resamples
    )
    group = {"name": name, "alias": benchmark.title, "sample_len": sum(map(len, samples.values()))}
    averages = {}
    for metric in dict.fromkeys([main, *(metric for by_metric in scores.values() for metric in by_metric)]):
        by_language = {
            language: by_metric[metric] for language, by_metric in scores.items() if metric in by_metric
        }
        if not by_language:
            raise ValueError(f"no sample of {name} has the score {metric}")
        draws = {language: drawn[language][metric] for language in by_language}
        means = estimates(by_language, draws, parallel=benchmark.parallel)
        averages[metric] = means[None]
        group |= _entries(metric, means[None])
        if len({len(by_id) for by_id in by_language.values()}) > 1:
            results["pooled"].setdefault(name, {})[metric] = pooled(by_language)
        for language in by_language:
            task = f"{name}_{language}"
            results["results"][task] |= _entries(metric, means[language])
            results["n-scored"][task][metric] = means[language].questions
            results["higher_is_better"][task][metric.partition(",")[0]] = True
    results["groups"][name] = group
    return averages[main]


def _entries(metric: str, estimate: MeanScore) -> dict[str, Any]:
    """An estimate under the harness's names, the 95 % interval beside them."""
    name, _, rule = metric.partition(",")
    return {
        metric: estimate.value,
        f"{name}_stderr,{rule}": "N/A" if estimate.error is None else estimate.error,
        f"{name}_ci95,{rule}": list(estimate.interval),
    }
