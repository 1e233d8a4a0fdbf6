"""The results of a study side by side: a row for each way to train and ask a model, a column per task."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cctuning.commands.studies.costs import ratio
from cctuning.commands.studies.lines import MEAN, Line, TableScore
from cctuning.evaluation.comparison.compare import Difference
from cctuning.reporting.scores import bounds, percent, uncertainty
from cctuning.reporting.tables import NO_LINES, Columns, RecordTable
from cctuning.tools.marks import finish

TABLES = ("table.csv", "table.md", "languages.md")
LEGEND = (
    "In %, with 95 % intervals (bootstrap of the questions, and of the seeds where there are several). "
    "Differences are to the row that is named, on the same questions and seeds; one to three stars: "
    "p < 0.05, 0.01, 0.001 after Holm's correction."
)
MATRIX_ERRORS = (
    "Mean squared error of F·W_T as a prediction of F_en on the prompts of each benchmark, and R², where 0 "
    "is what the mean of the prompts gives in each layer."
)
COSTS = (
    "Seconds of a training step, and of a new token of the evaluation, as they were measured on the way; ×: "
    "over the row that it is compared with. They mean something where nothing else ran on the machine."
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
    "matrix_mse": lambda record: record["line"].matrix_errors.get(record["column"], {}).get("mse"),
    "matrix_r2": lambda record: record["line"].matrix_errors.get(record["column"], {}).get("r2"),
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
    """Scores with their uncertainty below; then the difference, in a row of its own. `LEGEND` explains it."""
    columns = columns_of(lines)
    best = {column: _best(lines, column) for column in columns}
    rows: list[list[RenderableType]] = []
    for line in lines:
        rows.append([line.title, *(_cell(line.scores.get(column), best[column]) for column in columns)])
        if line.differences:
            cells = [_difference_cell(line.differences.get(column)) for column in columns]
            rows.append([Text(f"  - {line.baseline}", "dim"), *cells])
    return RecordTable(["", *columns], rows).screen(title=title, **NO_LINES)


def _cell(score: TableScore | None, best: float | None) -> Text:
    if score is None:
        return Text("-")
    style = "bold" if score.value == best else ""
    return Text.assemble(
        (percent(score.value), style), (f"\n{uncertainty(score.value, score.interval)}", "dim")
    )


def _difference_cell(difference: Difference | None) -> Text:
    if difference is None:
        return Text()
    return Text(f"{percent(difference.value, signed=True)}{difference.stars}", "dim")


# --- In files -----------------------------------------------------------------------------------------------


def write_tables(lines: Sequence[Line], folder: Path, *, title: str) -> None:
    """`TABLES` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    finish(folder, "table.csv", csv_text(lines))
    finish(folder, "languages.md", f"# {title}, language by language\n\n{languages_markdown(lines)}\n")
    finish(folder, "table.md", f"# {title}\n\n{markdown(lines)}\n")


def markdown(lines: Sequence[Line]) -> str:
    """A table of scores, the best of each column bold.

    Then those of differences, errors of the Transform Matrices and costs, where there are any.
    """
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
    for legend, table in ((MATRIX_ERRORS, matrix_errors_table(lines)), (COSTS, costs_table(lines))):
        if table.rows:
            parts += [legend, table.markdown()]
    return "\n\n".join(parts)


def languages_markdown(lines: Sequence[Line]) -> str:
    """A table a benchmark, with a column a language and their mean, in % with two decimals."""
    parts = []
    for column in columns_of(lines):
        scored = [line for line in lines if column in line.scores]
        languages = dict.fromkeys(language for line in scored for language in line.languages.get(column, {}))
        rows = [
            [
                line.title,
                *map(_two_decimals, map(line.languages.get(column, {}).get, languages)),
                _two_decimals(line.scores[column].value),
            ]
            for line in scored
        ]
        parts += [f"## {column}", RecordTable(["", *languages, "mean"], rows).markdown()]
    return "\n\n".join(parts)


def _two_decimals(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.2f}"


def matrix_errors_table(lines: Sequence[Line]) -> RecordTable:
    """The errors of each Transform Matrix by benchmark; without rows where none was measured."""
    measured = [line for line in lines if line.matrix_errors]
    columns = dict.fromkeys(column for line in measured for column in line.matrix_errors)
    rows = [
        [line.title, *(_error(line.matrix_errors.get(column, {})) for column in columns)] for line in measured
    ]
    return RecordTable(["MSE (R²)", *columns], rows)


def _error(measures: Mapping[str, float]) -> str:
    if "mse" not in measures:
        return "-"
    return f"{measures['mse']:.3g}" + (f" ({measures['r2']:.2f})" if "r2" in measures else "")


def costs_table(lines: Sequence[Line]) -> RecordTable:
    """Seconds, and how many times the baseline's they are; without rows where none are known."""
    costs = {line.title: line.cost for line in lines}
    rows = []
    for line in lines:
        cost, plain = line.cost, costs.get(line.baseline or "")
        if cost.step is None and cost.token is None:
            continue
        ratios = (
            [None, None] if plain is None else [ratio(cost.step, plain.step), ratio(cost.token, plain.token)]
        )
        cells = [_seconds(cost.step), _seconds(cost.token)]
        times = [f"{value:.2f}" if value is not None else "" for value in ratios]
        rows.append([line.title, cells[0], times[0], cells[1], times[1]])
    return RecordTable(["", "training step, s", "×", "new token, s", "×"], rows)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:#.3g}".rstrip(".")


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
