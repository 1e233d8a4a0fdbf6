"""A comparison as tables: on screen, in Markdown, and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cctuning.evaluation.comparison.compare import ComparedScore, Comparison
from cctuning.reporting.text_tables import bounds, csv_table, markdown_table, percent, uncertainty

_LABEL, _CELL = 13, 5  # characters: a part of a model's name, "+12.3"
_STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001, corrected by Holm (McNemar's p for right and wrong)"

# --- On screen ----------------------------------------------------------------------------------------------


def overview_table(comparison: Comparison, *, metric: str | None = None) -> Table:
    """A row per model, a column per benchmark: the mean over its languages, and below it the difference."""
    panels = comparison.panels(metric)
    table = Table(
        title="mean over languages, %",
        title_justify="left",
        show_lines=True,
    )
    table.add_column("model", overflow="fold")
    for panel in panels:
        table.add_column(_heading(panel), justify="right", overflow="fold")
    for name in comparison.names:
        means = [_mean(panel, name) for panel in panels]
        table.add_row(name, *(_cell(score) for score in means))
    return table


def details_table(comparison: Comparison, *, metric: str | None = None, width: int = 80) -> Table:
    """Scores, differences and half their intervals per benchmark and language, within `width` characters.

    Where there are more languages than fit, a benchmark takes several rows.
    """
    fitting = max(1, (width - _LABEL - 1) // (_CELL + 1))
    panels = [panel for panel in comparison.panels(metric) if panel[0].language is not None]
    most = max((len({score.language for score in panel}) for panel in panels), default=0)
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(width=_LABEL, overflow="fold")
    for _ in range(min(most, fitting)):
        table.add_column(justify="right", min_width=_CELL)
    for panel in panels:
        languages = [None, *dict.fromkeys(score.language for score in panel if score.language)]
        cells = {(score.name, score.language): score for score in panel}
        for start in range(0, len(languages), fitting):
            shown = languages[start : start + fitting]
            table.add_row()
            heading = "" if start else _heading(panel)
            table.add_row(heading, *(language or "mean" for language in shown), style="bold")
            for name in comparison.names:
                table.add_row(name, *(_cell(cells[name, language]) for language in shown))
    return table


def legend(comparison: Comparison) -> str:
    """What the numbers of the tables on screen are."""
    return f"below a score: difference to {comparison.names[0]}, half its 95 % interval, stars: {_STARS}"


def _heading(panel: Sequence[ComparedScore]) -> str:
    name = panel[0].metric.partition(",")[0]
    return panel[0].title if panel[0].is_main else f"{panel[0].title} {name}"


def _mean(panel: Sequence[ComparedScore], name: str) -> ComparedScore:
    return next(score for score in panel if score.name == name and score.language is None)


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
    warnings = [f"- warning: {warning}" for warning in comparison.warnings]
    folders = [
        f"- {name}: `{folder}`" for name, folder in zip(comparison.names, comparison.folders, strict=True)
    ]
    overview = [
        [name, *(_markdown_cell(_mean(panel, name)) for panel in panels)] for name in comparison.names
    ]
    parts = [
        f"# Compared with {comparison.names[0]}",
        "\n".join([*folders, *warnings]),
        "In %, in brackets the difference in points with its 95 % interval by paired bootstrap. "
        + _STARS.replace("*", "\\*"),
        markdown_table(["mean over languages", *map(_heading, panels)], overview),
        *(_benchmark_markdown(comparison, panel) for panel in panels if panel[0].language is not None),
        "## Tests",
        _tests_markdown(panels),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(score: ComparedScore) -> str:
    if score.difference is None:
        return percent(score.score)
    difference = score.difference
    stars = difference.stars.replace("*", "\\*")
    change = f"{percent(difference.value, signed=True)} {bounds(difference.interval, signed=True)}"
    return f"{percent(score.score)} ({change}){stars}"


def _benchmark_markdown(comparison: Comparison, panel: Sequence[ComparedScore]) -> str:
    languages = [None, *dict.fromkeys(score.language for score in panel if score.language)]
    cells = {(score.name, score.language): score for score in panel}
    rows = [
        [name, *(_markdown_cell(cells[name, language]) for language in languages)]
        for name in comparison.names
    ]
    head = [panel[0].metric, *(language or "mean" for language in languages)]
    return f"## {_heading(panel)}\n\n{markdown_table(head, rows)}"


def _tests_markdown(panels: Sequence[Sequence[ComparedScore]]) -> str:
    head = ["task, model", "questions", "difference", "95 %", "p, bootstrap", "only baseline right"]
    head += ["only this right", "p, McNemar", "p, Holm"]
    rows = []
    for score in (score for panel in panels for score in panel):
        if difference := score.difference:
            rows.append(
                [
                    f"{_heading([score])} {score.language or 'mean'}, {score.name}",
                    f"{score.questions}",
                    percent(difference.value, signed=True),
                    bounds(difference.interval, signed=True),
                    f"{difference.p:.2g}",
                    _number(difference.only_baseline),
                    _number(difference.only_this),
                    "" if difference.mcnemar_p is None else f"{difference.mcnemar_p:.2g}",
                    f"{difference.p_holm:.2g}{difference.stars}".replace("*", "\\*"),
                ]
            )
    return markdown_table(head, rows)


def _number(count: int | None) -> str:
    return "" if count is None else str(count)


def csv_text(comparison: Comparison) -> str:
    """One line per score of every metric, from 0 to 1; the language of a mean over languages is `mean`."""
    head = ["benchmark", "metric", "language", "model", "score", "ci95_low", "ci95_high", "questions"]
    tests = ["difference", "difference_ci95_low", "difference_ci95_high", "p_bootstrap"]
    tests += ["only_baseline_right", "only_this_right", "p_mcnemar", "p_holm", "stars"]
    lines = []
    for score in comparison.scores:
        line: list[Any] = [score.benchmark, score.metric, score.language or "mean", score.name]
        line += [score.score, *score.interval, score.questions]
        if change := score.difference:
            line += [change.value, *change.interval, change.p, change.only_baseline, change.only_this]
            line += [change.mcnemar_p, change.p_holm, change.stars]
        lines.append(line + [None] * (len(head + tests) - len(line)))
    return csv_table(head + tests, lines)
