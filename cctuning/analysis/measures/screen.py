"""The few numbers of a study that are shown on the screen; the others are in its tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.reporting.tables import RecordTable, leaves
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
    pilot = [
        [
            find_benchmark(name).title,
            sublayer,
            *(_cell(bounds.get(quantity, {}).get(MEAN)) for quantity in _PILOT),
        ]
        for (sublayer, name), bounds in leaves(summary["bounds"], 2)
    ]
    tables = [_table("Pilot", _PILOT.values(), pilot)]
    if summary["unseen"]:
        tables.append(
            _table("Unseen questions", ["method", "right answers"], _unseen_rows(summary), (0, 1, 2))
        )
    return tables


def _unseen_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """A row a method, with a line behind each benchmark and sub-layer."""
    rows: list[list[str]] = []
    for (sublayer, benchmark), _ in leaves(summary["bounds"], 2):
        place = [find_benchmark(benchmark).title, sublayer]
        for score in summary["unseen"].get(sublayer, {"scores": []})["scores"]:
            if score["language"] is None and score["is_main"] and score["benchmark"] == benchmark:
                low, high = score["interval"] or (None, None)
                rows.append([*place, score["name"], _points(score["score"], low, high, " ")])
                place = ["", ""]
        rows.append([])
    return rows


def _table(
    title: str, columns: Iterable[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0, 1)
) -> Table:
    title = f"{title}: right answers, % [95 % interval]\nmean over languages"
    table = RecordTable(["benchmark", "sub-layer", *columns], rows).screen(text=text, title=title)
    for column in table.columns[:2]:
        column.no_wrap = True
    return table


def _cell(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return ""
    return _points(estimate["value"], estimate["low"], estimate["high"], "\n")


def _points(value: float, low: float | None, high: float | None, between: str) -> str:
    interval = "" if low is None or high is None else f"{between}[{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * value:.1f}{interval}"
