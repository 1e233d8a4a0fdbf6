"""The scores in the content of a `results.json`, one row each: what tables and figures are made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cctuning.stats.bootstrap import Interval


@dataclass(frozen=True)
class ScoreRow:
    """A score of a benchmark in one language, or the average over its languages."""

    benchmark: str
    title: str  # the benchmark's name as the papers write it
    metric: str  # its key: accuracy,paper
    is_main: bool  # whether the papers report this metric
    language: str | None  # None: the average
    value: float  # in [0, 1]
    error: float | None  # standard error
    interval: Interval  # 95 %
    questions: int


def score_rows(results: Mapping[str, Any]) -> Iterator[ScoreRow]:
    """All scores by benchmark, metric and language, in the order of the results; averages are last."""
    for benchmark, tasks in results["group_subtasks"].items():
        group, configs = results["groups"][benchmark], [results["configs"][task] for task in tasks]
        for metric in metrics_of(group):
            name, _, rule = metric.partition(",")
            counts = [results["n-scored"][task].get(metric, 0) for task in tasks]
            places = [
                (config["language"], results["results"][task], count)
                for task, config, count in zip(tasks, configs, counts, strict=True)
                if count
            ]
            for language, entries, count in [*places, (None, group, sum(counts))]:
                error = entries[f"{name}_stderr,{rule}"]
                yield ScoreRow(
                    benchmark=benchmark,
                    title=configs[0]["title"],
                    metric=metric,
                    is_main=metric == configs[0]["main_metric"],
                    language=language,
                    value=entries[metric],
                    error=None if error == "N/A" else error,
                    interval=Interval(*entries[f"{name}_ci95,{rule}"]),
                    questions=count,
                )


def described(results: Mapping[str, Any]) -> str:
    """The model and how it was asked, in words."""
    config = results["config"]
    words = [config.get("model_path") or config.get("model"), config.get("inference")]
    prompting = config.get("prompting")
    return ", ".join(str(word) for word in [*words, prompting if prompting != "original" else None] if word)


def metrics_of(entries: Mapping[str, Any]) -> list[str]:
    """The metric keys of a task's or a group's entries."""
    names = [key.partition(",") for key in entries if "," in key]
    return [f"{name}{comma}{rule}" for name, comma, rule in names if not name.endswith(("_stderr", "_ci95"))]
