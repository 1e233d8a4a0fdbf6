"""Result folders: what is made from an evaluation's samples, how it is written, and read again.

`results.json` has the shape of lm-evaluation-harness, so that its `make_table` and other tools that read
`results`, `groups`, `group_subtasks`, `n-samples`, `higher_is_better`, `configs` and `versions` take it.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from cctuning.evaluation.asking.sample_files import RESULTS_FILE, ResultsError, read_sample_file, samples_path
from cctuning.evaluation.asking.store import SETTINGS_FILE
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.results.figures import plot_scores
from cctuning.evaluation.results.score_rows import ScoreRow, score_rows
from cctuning.evaluation.results.summary import Estimate, average, estimates, generation_of, pooled, scores_of
from cctuning.evaluation.results.tables import csv_text, markdown_text
from cctuning.settings.near_matches import did_you_mean
from cctuning.stats.bootstrap import RESAMPLES, Id, generator, resampled_languages
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import from_json, to_json

Task: TypeAlias = tuple[str, str]  # benchmark and language
Sample: TypeAlias = Mapping[str, Any]

_PACKAGES = ("torch", "transformers")


# --- From samples to results --------------------------------------------------------------------------------


def summarise(
    samples: Mapping[Task, Sequence[Sample]],
    *,
    config: Mapping[str, Any],
    left_out: Mapping[Task, Mapping[str, Sequence[Id]]] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """The content of `results.json`, from the samples of each benchmark and language.

    `config` says how they were made. `left_out`: the ids that were not asked, by reason. The ids of samples
    that were connected to their own prompt, for want of a translation, are `untranslated`. A metric's scores
    are averaged over the samples that have it. Raises `ValueError` for a task without samples, a question
    that is there twice, and a benchmark that is not known or lacks its main metric.
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
        own = {language: rows for (other, language), rows in samples.items() if other == name}
        for language, rows in own.items():
            _add_task(results, benchmark, language, rows, (left_out or {}).get((name, language), {}))
        averages.append(_add_scores(results, benchmark, own, seed=seed, resamples=resamples))
    if len(averages) > 1:
        results["average"] = _entries("score,paper", average(averages))
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
    gone = {id for reason in left_out.values() for id in reason}
    results["results"][task] = {"name": task, "alias": task, "sample_len": len(samples)}
    results["group_subtasks"].setdefault(benchmark.name, []).append(task)
    results["configs"][task] = {
        "task": task,
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "language": language,
        "parallel": benchmark.parallel,
        "main_metric": benchmark.metrics[0].key,
        "num_fewshot": 0,
    }
    results["versions"][task] = 1
    results["n-shot"][task] = 0
    results["higher_is_better"][task] = {}
    results["n-samples"][task] = {"original": len(samples) + len(gone), "effective": len(samples)}
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
) -> Estimate:
    """The scores of a benchmark's languages and their averages; returns that of the main metric."""
    name, main = benchmark.name, benchmark.metrics[0].key
    scores = {language: scores_of(rows) for language, rows in samples.items()}
    drawn = resampled_languages(
        scores, parallel=benchmark.parallel, random=generator(seed, name), resamples=resamples
    )
    group = {"name": name, "alias": benchmark.title, "sample_len": sum(map(len, samples.values()))}
    averages = {}
    for metric in dict.fromkeys([main, *(metric for own in scores.values() for metric in own)]):
        by_language = {language: own[metric] for language, own in scores.items() if metric in own}
        if not by_language:
            raise ValueError(f"no sample of {name} has the score {metric}")
        draws = {language: drawn[language][metric] for language in by_language}
        found = estimates(by_language, draws, parallel=benchmark.parallel)
        averages[metric] = found[None]
        group |= _entries(metric, found[None])
        if len({len(own) for own in by_language.values()}) > 1:
            results["pooled"].setdefault(name, {})[metric] = pooled(by_language)
        for language in by_language:
            task = f"{name}_{language}"
            results["results"][task] |= _entries(metric, found[language])
            results["n-scored"][task][metric] = found[language].questions
            results["higher_is_better"][task][metric.partition(",")[0]] = True
    results["groups"][name] = group
    return averages[main]


def _entries(metric: str, estimate: Estimate) -> dict[str, Any]:
    """An estimate under the harness's names, the 95 % interval beside them."""
    name, _, rule = metric.partition(",")
    return {
        metric: estimate.value,
        f"{name}_stderr,{rule}": "N/A" if estimate.error is None else estimate.error,
        f"{name}_ci95,{rule}": list(estimate.interval),
    }


# --- Folders ------------------------------------------------------------------------------------------------


def write_results(folder: str | Path, results: Mapping[str, Any]) -> None:
    """Writes `results.json`, `table.md`, `table.csv` and the figure `scores.png` and `.svg` into `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "table.md", markdown_text(results))
    write_whole(folder / "table.csv", csv_text(results))
    plot_scores(results, [folder / "scores.png", folder / "scores.svg"])
    text = to_json(results, indent=2)
    write_whole(folder / RESULTS_FILE, text + "\n")  # the last: where it is, the others are


def read_results(folder: str | Path) -> dict[str, Any]:
    """What `write_results` wrote to `results.json`. Raises `ResultsError` that says what is there instead."""
    path = Path(folder) / RESULTS_FILE
    if not path.is_file():
        raise ResultsError(f"{folder} {_what_is_there(Path(folder))}")
    try:
        results = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error
    try:
        rows = list(score_rows(results))
        if rows:
            _check(results, rows)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{path} was not written by cctuning evaluate, or changed since: {type(error).__name__}, {error}"
        ) from error
    if not rows:
        raise ResultsError(f"{path} holds no scores")
    return dict(results)


def _check(results: Mapping[str, Any], rows: Sequence[ScoreRow]) -> None:
    """Looks at all that is read of results later; what is missing or no number is an error of Python's."""
    dict(results["config"]), dict(results["average"])
    for task, config in results["configs"].items():
        for key in ("benchmark", "title", "language", "parallel", "main_metric"):
            config[key]
        int(results["n-samples"][task]["effective"])
    for row in rows:
        math.fsum([row.value, *row.interval, row.error or 0.0])


def _what_is_there(folder: Path) -> str:
    """What is wrong with a folder without results, and what to do."""
    if not folder.exists():
        parent = folder.parent
        names = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
        return f"does not exist{did_you_mean(folder.name, names)}"
    if not folder.is_dir():
        return "is a file, and must be a folder that cctuning evaluate wrote"
    names = [path.name for path in folder.iterdir()]
    if SETTINGS_FILE in names or any(name.startswith("samples_") for name in names):
        return "holds an evaluation that has not finished: give its command again, and it goes on"
    if any(re.fullmatch(r"results_.*\.json", name) for name in names):
        return "holds results of lm-evaluation-harness; what is compared here are those of cctuning evaluate"
    if "config.json" in names:
        return f"is a model's folder: cctuning evaluate model={folder} output_dir=... writes results"
    return f"holds no {RESULTS_FILE}, which cctuning evaluate writes at its end" if names else "is empty"


def read_samples(folder: str | Path) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
    """The samples of each task of a result folder, one task at a time.

    Raises `ResultsError` for a file that is missing, has a line that is no sample, a question twice, or
    another number of samples than `results.json` counts.
    """
    results = read_results(folder)
    for task, config in results["configs"].items():
        path = samples_path(folder, task)
        if not path.is_file():
            raise ResultsError(f"{path} is missing, and {RESULTS_FILE} beside it names its task")
        samples = read_sample_file(path)
        count = results["n-samples"][task]["effective"]
        if len(samples) != count:
            raise ResultsError(f"{path} holds {len(samples):,} samples, and {RESULTS_FILE} counts {count:,}")
        yield (config["benchmark"], config["language"]), samples
