"""The results of one evaluation as tables: on screen, in Markdown, and as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cctuning.evaluation.results.score_rows import ScoreRow, described, score_rows
from cctuning.reporting.text_tables import bounds, csv_table, markdown_table, percent, uncertainty
from cctuning.stats.bootstrap import Interval

_LABEL, _CELL = 13, 5  # characters: "consistency", "±12.3"
_FACTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "new tokens": lambda facts: f"{facts['new_tokens']:.1f}",
    "ended, %": lambda facts: percent(facts["stopped"]),
    "top layer": lambda facts: _top_layer(facts["layers"]),
}


# --- On screen ----------------------------------------------------------------------------------------------


def screen_table(results: Mapping[str, Any], *, width: int = 80) -> Table:
    """Scores of every benchmark, metric and language in % with half the 95 % interval below, within `width`.

    Below the scores: mean new tokens, the share of responses that ended by themselves, and the layer that
    was chosen most often, with its share. Where there are more languages than fit, a benchmark takes several
    rows.
    """
    fitting = max(1, (width - _LABEL - 1) // (_CELL + 1) - 1)
    most = max((len(tasks) for tasks in results["group_subtasks"].values()), default=1)
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        show_header=False,
        title=f"{described(results)}\nin %, below it half the 95 % interval (<, >: its other end)",
        caption=_below(results),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column(width=_LABEL, overflow="fold")
    for _ in range(1 + min(most, fitting)):
        table.add_column(justify="right", min_width=_CELL)
    rows = list(score_rows(results))
    for benchmark in results["group_subtasks"]:
        _add_benchmark(table, results, [row for row in rows if row.benchmark == benchmark], fitting)
    return table


def _add_benchmark(table: Table, results: Mapping[str, Any], rows: Sequence[ScoreRow], fitting: int) -> None:
    benchmark = rows[0].benchmark
    tasks = results["group_subtasks"][benchmark]
    languages = [results["configs"][task]["language"] for task in tasks]
    for start in range(0, len(languages), fitting):
        shown = languages[start : start + fitting]
        first = start == 0
        table.add_row()
        table.add_row(rows[0].title if first else "", "mean" if first else "", *shown, style="bold")
        for metric in dict.fromkeys(row.metric for row in rows):
            cells = {row.language: row for row in rows if row.metric == metric}
            places = [cells[None] if first else None, *(cells.get(language) for language in shown)]
            table.add_row(_label(metric), *map(_cell, places))
        for label, fact in _FACTS.items():
            values = [fact(results["generation"][f"{benchmark}_{language}"]) for language in shown]
            if any(values):
                table.add_row(label, "", *values, style="dim")


def _label(metric: str) -> Text:
    name, _, rule = metric.partition(",")
    return Text.assemble(name.replace("_", " "), (f"\n{rule}" * (rule != "none"), "dim"))


def _cell(row: ScoreRow | None) -> Text:
    if row is None:
        return Text()
    return Text.assemble(percent(row.value), (f"\n{uncertainty(row.value, row.interval)}", "dim"))


def _top_layer(layers: Mapping[str, int]) -> str:
    if not layers:
        return ""
    layer = max(layers, key=layers.__getitem__)
    return f"{layer}\n{100 * layers[layer] / sum(layers.values()):.0f}%"


def _below(results: Mapping[str, Any]) -> str:
    """What stands below the table: the average over benchmarks, and how much was not asked."""
    lines = [line for line in [average_line(results), pooled_line(results)] if line]
    gone = [n["original"] - n["effective"] for n in results["n-samples"].values()]
    if any(gone):
        lines.append(f"{sum(gone):,} questions left out, in {sum(map(bool, gone))} task(s): see results.json")
    lines += [line for line in [untranslated_line(results)] if line]
    return "\n".join(lines)


def average_line(results: Mapping[str, Any]) -> str:
    """The average over benchmarks in words; empty where there is only one."""
    if not results["average"]:
        return ""
    value, sure = results["average"]["score,paper"], Interval(*results["average"]["score_ci95,paper"])
    return f"mean of {len(results['groups'])} benchmarks: {percent(value)} {bounds(sure)}"


def untranslated_line(results: Mapping[str, Any]) -> str:
    """How many questions had no translation, in words; empty where all had one."""
    count, tasks = sum(map(len, results["untranslated"].values())), len(results["untranslated"])
    if not count:
        return ""
    return (
        f"{count:,} questions connected to their own prompt, for want of a translation, in {tasks} task(s): "
        "see results.json"
    )


def pooled_line(results: Mapping[str, Any]) -> str:
    """The main scores with every question counted equally, of benchmarks whose languages differ in size."""
    found = []
    for benchmark, scores in results.get("pooled", {}).items():
        config = results["configs"][results["group_subtasks"][benchmark][0]]
        if config["main_metric"] in scores:
            found.append(f"{config['title']} {percent(scores[config['main_metric']])}")
    return f"with every question counted equally: {', '.join(found)}" if found else ""


# --- In files -----------------------------------------------------------------------------------------------


def markdown_text(results: Mapping[str, Any]) -> str:
    """Scores with their intervals, how the responses came about, and the settings."""
    rows = list(score_rows(results))
    facts = ["task", "questions", "left out", "new tokens", "ended, %", "connected, %", "layers chosen"]
    settings = [[name, str(value)] for name, value in results["config"].items()]
    means = [
        [f"{row.title} ({row.metric})", f"{percent(row.value)} {bounds(row.interval)}"]
        for row in rows
        if row.is_main and row.language is None
    ]
    parts = [
        f"# {described(results)}",
        "Scores in % with 95 % intervals. The mean counts every language equally.",
        markdown_table(["benchmark (metric)", "mean"], means),
        average_line(results),
        pooled_line(results),
        *(
            _benchmark_markdown([row for row in rows if row.benchmark == benchmark])
            for benchmark in results["group_subtasks"]
        ),
        "## Responses",
        markdown_table(facts, [_facts_line(results, task) for task in results["results"]]),
        untranslated_line(results),
        "## Settings",
        markdown_table(["setting", "value"], settings),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _benchmark_markdown(rows: Sequence[ScoreRow]) -> str:
    cells = {(row.metric, row.language): row for row in rows}
    languages = list(dict.fromkeys(row.language for row in rows if row.language is not None))
    lines = []
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [cells.get((metric, language)) for language in (None, *languages)]
        lines.append(
            [metric, *(f"{percent(row.value)} {bounds(row.interval)}" if row else "" for row in own)]
        )
    return f"## {rows[0].title}\n\n{markdown_table(['metric', 'mean', *languages], lines)}"


def _facts_line(results: Mapping[str, Any], task: str) -> list[str]:
    facts, layers = results["generation"][task], results["generation"][task]["layers"]
    total = sum(layers.values())
    chosen = sorted(layers, key=layers.__getitem__, reverse=True)
    shares = ", ".join(f"{layer}: {100 * layers[layer] / total:.0f} %" for layer in chosen[:3])
    counts = results["n-samples"][task]
    return [
        task,
        str(counts["effective"]),
        str(counts["original"] - counts["effective"]),
        f"{facts['new_tokens']:.1f}",
        percent(facts["stopped"]),
        percent(facts["connected"]),
        f"{shares}, ..." if len(chosen) > 3 else shares,
    ]


def csv_text(results: Mapping[str, Any]) -> str:
    """One line per score, between 0 and 1; the language of an average is `mean`."""
    head = ["benchmark", "metric", "language", "score", "stderr", "ci95_low", "ci95_high", "questions"]
    lines = [
        [
            row.benchmark,
            row.metric,
            row.language or "mean",
            row.value,
            row.error,
            *row.interval,
            row.questions,
        ]
        for row in score_rows(results)
    ]
    return csv_table(head, lines)
