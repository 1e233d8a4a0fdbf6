"""The results of a study side by side: a row for each way to train and ask a model, a column per task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from cctuning.evaluation.results import read_results
from cctuning.evaluation.score_rows import score_rows
from cctuning.evaluation.statistics import Interval
from cctuning.evaluation.text_tables import bounds, csv_table, half_width, markdown_table, percent
from cctuning.files import write_whole

MEAN = "mean"  # the column of the average over benchmarks


@dataclass(frozen=True)
class Score:
    """A mean score, in [0, 1], with its 95 % interval and metric."""

    value: float
    interval: Interval
    metric: str


Scores = dict[str, Score]  # by the benchmark's title, then the mean


def read_scores(folder: str | Path) -> Scores:
    """The main score of every benchmark in a result folder, and their mean where there are several."""
    results = read_results(folder)
    scores = {
        row.title: Score(row.value, row.interval, row.metric)
        for row in score_rows(results)
        if row.is_main and row.language is None
    }
    if average := results["average"]:
        scores[MEAN] = Score(average["score,paper"], Interval(*average["score_ci95,paper"]), "score,paper")
    return scores


def columns_of(table: dict[str, Scores]) -> list[str]:
    """The benchmarks of all rows in their order, and last the mean."""
    columns = dict.fromkeys(column for scores in table.values() for column in scores)
    return sorted(columns, key=lambda column: column == MEAN)


def screen_table(table: dict[str, Scores], title: str) -> Table:
    """Scores in % with half the 95 % interval below; the best of each column is bold."""
    shown = Table(title=title, caption="in %, below it half the 95 % interval", title_justify="left")
    shown.add_column("")
    columns = columns_of(table)
    for column in columns:
        shown.add_column(column, justify="right")
    best = {column: _best(table, column) for column in columns}
    for name, scores in table.items():
        cells = [_cell(scores.get(column), best[column]) for column in columns]
        shown.add_row(name, *cells)
    return shown


def _best(table: dict[str, Scores], column: str) -> float | None:
    values = [scores[column].value for scores in table.values() if column in scores]
    return max(values) if len(values) > 1 else None


def _cell(score: Score | None, best: float | None) -> Text:
    if score is None:
        return Text("-")
    style = "bold" if score.value == best else ""
    return Text.assemble((percent(score.value), style), (f"\n{half_width(score.interval)}", "dim"))


def markdown(table: dict[str, Scores]) -> str:
    """The same in Markdown, with both ends of the interval."""
    columns = columns_of(table)
    rows = [
        [name, *(_markdown_cell(scores.get(column), _best(table, column)) for column in columns)]
        for name, scores in table.items()
    ]
    return markdown_table(["", *columns], rows)


def _markdown_cell(score: Score | None, best: float | None) -> str:
    if score is None:
        return "-"
    value = f"**{percent(score.value)}**" if score.value == best else percent(score.value)
    return f"{value} {bounds(score.interval)}"


def csv(table: dict[str, Scores]) -> str:
    """A line per row and benchmark: score and interval in [0, 1]."""

    def lines() -> Iterator[Sequence[object]]:
        for name, scores in table.items():
            for column, score in scores.items():
                yield name, column, score.metric, score.value, *score.interval

    return csv_table(["row", "benchmark", "metric", "score", "low", "high"], lines())


def write_tables(table: dict[str, Scores], folder: Path, *, title: str) -> None:
    """`table.md` and `table.csv` in `folder`."""
    text = [
        f"# {title}",
        "Scores in % with 95 % intervals; the best of each column is bold.",
        markdown(table),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "table.csv", csv(table))
    write_whole(folder / "table.md", "\n\n".join(text) + "\n")
