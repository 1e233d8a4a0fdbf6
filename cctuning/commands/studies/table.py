"""The results of a study side by side: a row for each way to train and ask a model, a column per task."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cctuning.commands.studies.lines import MEAN, Line, TableScore
from cctuning.evaluation.comparison.compare import Difference
from cctuning.reporting.scores import bounds, half_width, percent
from cctuning.reporting.tables import Columns, RecordTable
from cctuning.tools.marks import finish

TABLES = ("table.csv", "table.md")
LEGEND = (
    "In %, with 95 % intervals (bootstrap of the questions, and of the seeds where there are several). "
    "Differences are to the row that is named, on the same questions and seeds; one to three stars: "
    "p < 0.05, 0.01, 0.001 after Holm's correction."
)
_CSV: Columns = {
    "row": "line.title",
    "benchmark": "column",
    "metric": "score.metric",
    "score": "score.value",
    "low": "score.interval.low",
    "high": "score.interval.high",
    "baseline": lambda record: record["line"].baseline if record["difference"] else None,
    "difference": "difference.value",
    "difference_low": "difference.interval.low",
    "difference_high": "difference.interval.high",
    "p": "difference.p",
    "p_holm": "difference.p_holm",
}


def columns_of(lines: Sequence[Line]) -> list[str]:
    """The benchmarks of all lines in their order, and last the mean."""
    columns = dict.fromkeys(column for line in lines for column in line.scores)
    return sorted(columns, key=lambda column: column == MEAN)


def _best(lines: Sequence[Line], column: str) -> float | None:
    """The highest score of a column; None where all are alike."""
    values = {line.scores[column].value for line in lines if column in line.scores}
    return max(values) if len(values) > 1 else None


# --- On screen ----------------------------------------------------------------------------------------------


def screen_table(lines: Sequence[Line], title: str) -> Table:
    """Scores with half the interval below; then the difference, in a row of its own. `LEGEND` explains it."""
    columns = columns_of(lines)
    best = {column: _best(lines, column) for column in columns}
    rows: list[list[RenderableType]] = []
    for line in lines:
        rows.append([line.title, *(_cell(line.scores.get(column), best[column]) for column in columns)])
        if line.differences:
            cells = [_difference_cell(line.differences.get(column)) for column in columns]
            rows.append([Text(f"  - {line.baseline}", "dim"), *cells])
    return RecordTable(["", *columns], rows).screen(
        title=title, title_justify="left", box=None, padding=(0, 1, 0, 0)
    )


def _cell(score: TableScore | None, best: float | None) -> Text:
    if score is None:
        return Text("-")
    style = "bold" if score.value == best else ""
    return Text.assemble((percent(score.value), style), (f"\n{half_width(score.interval)}", "dim"))


def _difference_cell(difference: Difference | None) -> Text:
    if difference is None:
        return Text()
    return Text(f"{percent(difference.value, signed=True)}{difference.stars}", "dim")


# --- In files -----------------------------------------------------------------------------------------------


def write_tables(lines: Sequence[Line], folder: Path, *, title: str) -> None:
    """`TABLES` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    finish(folder, "table.csv", csv_text(lines))
    finish(folder, "table.md", f"# {title}\n\n{markdown(lines)}\n")


def markdown(lines: Sequence[Line]) -> str:
    """A table of scores, the best of each column bold, and one of differences where there are any."""
    columns = columns_of(lines)
    best = {column: _best(lines, column) for column in columns}
    scores = [
        [line.title, *(_markdown_cell(line.scores.get(column), best[column]) for column in columns)]
        for line in lines
    ]
    differences = [
        [f"{line.title} - {line.baseline}", *(_markdown_difference(line, column) for column in columns)]
        for line in lines
        if line.differences
    ]
    parts = [LEGEND, RecordTable(["", *columns], scores).markdown()]
    if differences:
        parts += [RecordTable(["difference", *columns], differences).markdown()]
    return "\n\n".join(parts)


def _markdown_cell(score: TableScore | None, best: float | None) -> str:
    if score is None:
        return "-"
    value = f"**{percent(score.value)}**" if score.value == best else percent(score.value)
    return f"{value} {bounds(score.interval)}"


def _markdown_difference(line: Line, column: str) -> str:
    if (difference := line.differences.get(column)) is None:
        return ""
    value = f"{percent(difference.value, signed=True)}{difference.stars}"
    return f"{value} {bounds(difference.interval, signed=True)}"


def csv_text(lines: Sequence[Line]) -> str:
    """A line per row and benchmark; scores in [0, 1], differences in [-1, 1]."""
    records = [
        {"column": column, "score": score, "line": line, "difference": line.differences.get(column)}
        for line in lines
        for column, score in line.scores.items()
    ]
    return RecordTable.of(_CSV, records).csv()
