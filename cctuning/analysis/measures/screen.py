"""The few numbers of a study that are shown on the screen; the others are in its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from cctuning.analysis.measures.estimates import MEAN
from cctuning.evaluation.benchmarks import find_benchmark

_PILOT = {
    "original": "original",
    "source": "source",
    "upper_bound": "upper bound",
    "chance_bound": "by chance",
}


def screen_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Accuracies in points with their 95 % intervals, means over languages, of every benchmark and sub-layer.

    One table of the pilot, and where there are unseen questions one of them, with all that was evaluated
    beside the strategies. `by chance` is what the upper
    bound would be if the answers knew nothing of their questions.
    """
    pilot = _table("Pilot: right answers, %", _PILOT.values())
    for sublayer, benchmarks in summary["bounds"].items():
        for name, bounds in benchmarks.items():
            cells = [_cell(bounds.get(quantity, {}).get(MEAN)) for quantity in _PILOT]
            pilot.add_row(find_benchmark(name).title, sublayer, *cells)
    if not summary["unseen"]:
        return [pilot]
    means = {
        sublayer: [one for one in content["scores"] if one["language"] is None and one["is_main"]]
        for sublayer, content in summary["unseen"].items()
    }
    names = list(dict.fromkeys(one["name"] for scores in means.values() for one in scores))
    unseen = _table("Unseen questions: right answers, %", names)
    for sublayer, scores in means.items():
        for benchmark in summary["bounds"][sublayer]:
            own = {score["name"]: score for score in scores if score["benchmark"] == benchmark}
            cells = [_score(own.get(name)) for name in names]
            unseen.add_row(find_benchmark(benchmark).title, sublayer, *cells)
    return [pilot, unseen]


def _table(title: str, headings: Iterable[str]) -> Table:
    table = Table(title=f"{title} [95 % interval], mean over languages")
    table.add_column("benchmark", overflow="fold")
    table.add_column("sub-layer")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _cell(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return ""
    return _points(estimate["value"], estimate["low"], estimate["high"])


def _score(score: Mapping[str, Any] | None) -> str:
    return "" if score is None else _points(score["score"], *(score["interval"] or (None, None)))


def _points(value: float, low: float | None, high: float | None) -> str:
    interval = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * value:.1f}{interval}"
