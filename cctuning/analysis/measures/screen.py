"""The few numbers of a study that are shown on the screen; the others are in its tables."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.stats.estimates import MEAN

_PILOT = {
    "original": "original",
    "source": "source",
    "upper_bound": "upper bound",
    "chance_bound": "by chance",
}


def screen_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Accuracies in points with their 95 % intervals, means over languages, of every benchmark and sub-layer.

    One table of the pilot, and where there are unseen questions one of them, with a row for each method, as
    there may be many and their names long. All fit a screen of 80 columns. `by chance` is what the upper
    bound would be if the answers knew nothing of their questions.
    """
    pilot = _table("Pilot: right answers, %")
    for heading in _PILOT.values():
        pilot.add_column(heading, justify="right")
    for sublayer, benchmarks in summary["bounds"].items():
        for name, bounds in benchmarks.items():
            cells = [_cell(bounds.get(quantity, {}).get(MEAN)) for quantity in _PILOT]
            pilot.add_row(find_benchmark(name).title, sublayer, *cells)
    if not summary["unseen"]:
        return [pilot]
    unseen = _table("Unseen questions: right answers, %")
    unseen.add_column("method", overflow="fold")
    unseen.add_column("right answers", justify="right")
    for sublayer, content in summary["unseen"].items():
        means = [one for one in content["scores"] if one["language"] is None and one["is_main"]]
        for benchmark in summary["bounds"][sublayer]:
            place = [find_benchmark(benchmark).title, sublayer]
            for score in (one for one in means if one["benchmark"] == benchmark):
                low, high = score["interval"] or (None, None)
                unseen.add_row(*place, score["name"], _points(score["score"], low, high, " "))
                place = ["", ""]
            unseen.add_section()
    return [pilot, unseen]


def _table(title: str) -> Table:
    table = Table(title=f"{title} [95 % interval]\nmean over languages")
    table.add_column("benchmark", no_wrap=True)
    table.add_column("sub-layer", no_wrap=True)
    return table


def _cell(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return ""
    return _points(estimate["value"], estimate["low"], estimate["high"], "\n")


def _points(value: float, low: float | None, high: float | None, between: str) -> str:
    interval = "" if low is None or high is None else f"{between}[{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * value:.1f}{interval}"
