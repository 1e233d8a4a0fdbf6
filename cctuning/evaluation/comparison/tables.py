"""A comparison as tables: on screen, in Markdown, and as CSV."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cctuning.evaluation.comparison.compare import ComparedScore, Comparison
from cctuning.reporting.documents import in_markdown
from cctuning.reporting.scores import bounds, change, percent, uncertainty
from cctuning.reporting.tables import Columns, RecordTable, stacked

_STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001, corrected by Holm (McNemar's p for right and wrong)"
DIFFERENCE = {  # the first columns of a difference, in CSV files
    "difference": "difference.value",
    "difference_ci95_low": "difference.interval.0",
    "difference_ci95_high": "difference.interval.1",
    "p_bootstrap": "difference.p",
}
_CSV: Columns = {
    "benchmark": "benchmark",
    "metric": "metric",
    "language": lambda score: _language(score),
    "model": "name",
    "score": "score",
    "ci95_low": "interval.0",
    "ci95_high": "interval.1",
    "questions": "questions",
    **DIFFERENCE,
    "only_baseline_right": "difference.only_baseline",
    "only_this_right": "difference.only_this",
    "p_mcnemar": "difference.mcnemar_p",
    "p_holm": "difference.p_holm",
    "stars": "difference.stars",
}
_TESTS: Columns = {
    "task, model": lambda score: f"{_heading(score)} {_language(score)}, {score.name}",
    "questions": "questions",
    "difference": lambda score: percent(score.difference.value, signed=True),
    "95 %": lambda score: bounds(score.difference.interval, signed=True),
    "p, bootstrap": lambda score: f"{score.difference.p:.2g}",
    "only baseline right": "difference.only_baseline",
    "only this right": "difference.only_this",
    "p, McNemar": lambda score: None if (p := score.difference.mcnemar_p) is None else f"{p:.2g}",
    "p, Holm": lambda score: f"{score.difference.p_holm:.2g}{_escaped(score.difference.stars)}",
}


def _panel(
    scores: Sequence[ComparedScore], write: Callable[[ComparedScore], Any], corner: str
) -> RecordTable:
    """A row a model, a column a language, the mean first."""
    means_first = sorted(scores, key=lambda score: score.language is not None)
    return RecordTable.crossed(
        corner, {(score.name, _language(score)): write(score) for score in means_first}
    )


def _overview(
    panels: Sequence[Sequence[ComparedScore]], write: Callable[[ComparedScore], Any], corner: str
) -> RecordTable:
    """A row a model, a column a benchmark: the mean over its languages."""
    means = [[score for score in panel if score.language is None] for panel in panels]
    rows = [[of_model[0].name, *map(write, of_model)] for of_model in zip(*means, strict=True)]
    return RecordTable([corner, *(_heading(panel[0]) for panel in panels)], rows)


def _heading(score: ComparedScore) -> str:
    return score.title if score.is_main else f"{score.title} {score.metric.partition(',')[0]}"


def _language(score: ComparedScore) -> str:
    return score.language or "mean"


# --- On screen ----------------------------------------------------------------------------------------------


def overview_table(comparison: Comparison, *, metric: str | None = None) -> Table:
    """A row per model, a column per benchmark: the mean over its languages, and below it the difference."""
    means = _overview(comparison.panels(metric), _cell, "model")
    return means.screen(title="mean over languages, %", title_justify="left", show_lines=True)


def details_table(comparison: Comparison, *, metric: str | None = None, width: int = 80) -> Table:
    """Scores, differences and half their intervals per benchmark and language, within `width` characters.

    Where there are more languages than fit, a benchmark takes several rows.
    """
    panels = [panel for panel in comparison.panels(metric) if panel[0].language is not None]
    return stacked([_panel(panel, _cell, _heading(panel[0])) for panel in panels], width=width)


def legend(comparison: Comparison) -> str:
    """The legend of the tables on screen."""
    return f"below a score: difference to {comparison.names[0]}, half its 95 % interval, stars: {_STARS}"


def _cell(score: ComparedScore) -> Text:
    text = Text(percent(score.score))
    if difference := score.difference:
        # Bold where it is no chance; the sign says in which direction, so no colour has to.
        style = "bold" if difference.stars else ""
        text.append(f"\n{percent(difference.value, signed=True)}", style)
        text.append(f"\n{uncertainty(difference.value, difference.interval)}", "dim")
        text.append(f"\n{difference.stars}" * bool(difference.stars), style)
    return text


# --- In files -----------------------------------------------------------------------------------------------


def markdown_text(comparison: Comparison, *, metric: str | None = None) -> str:
    """The overview, each benchmark's languages, and every test."""
    panels = comparison.panels(metric)
    named = zip(comparison.names, comparison.folders, strict=True)
    facts = [f"- {in_markdown(name)}: {in_markdown(str(folder))}" for name, folder in named]
    tested = [score for panel in panels for score in panel if score.difference]
    parts = [
        f"# Compared with {in_markdown(comparison.names[0])}",
        "\n".join([*facts, *(f"- warning: {in_markdown(warning)}" for warning in comparison.warnings)]),
        "In %, in brackets the difference in points with its 95 % interval by paired bootstrap. "
        + _escaped(_STARS),
        _overview(panels, _markdown_cell, "mean over languages").markdown(),
    ]
    for panel in panels:
        if panel[0].language is not None:
            table = _panel(panel, _markdown_cell, panel[0].metric)
            parts.append(f"## {_heading(panel[0])}\n\n{table.markdown()}")
    return "\n\n".join([*parts, "## Tests", RecordTable.of(_TESTS, tested).markdown()]) + "\n"


def _markdown_cell(score: ComparedScore) -> str:
    if (difference := score.difference) is None:
        return percent(score.score)
    signed = change(difference.value, difference.interval)
    return f"{percent(score.score)} ({signed}){_escaped(difference.stars)}"


def _escaped(stars: str) -> str:
    return stars.replace("*", "\\*")


def csv_text(comparison: Comparison) -> str:
    """One line per score of every metric, from 0 to 1; the language of a mean over languages is `mean`."""
    return RecordTable.of(_CSV, comparison.scores).csv()
