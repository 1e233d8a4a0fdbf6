"""The results of one evaluation as tables: on screen, in Markdown, and as CSV."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cctuning.evaluation.results.score_rows import ScoreRow, described, score_rows
from cctuning.reporting.documents import in_markdown
from cctuning.reporting.scores import percent, score, uncertainty
from cctuning.reporting.tables import Columns, RecordTable, stacked

_FACTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "new tokens": lambda facts: f"{facts['new_tokens']:.1f}",
    "ended, %": lambda facts: percent(facts["stopped"]),
    "tokens/s": lambda facts: f"{facts['tokens_per_second']:.3g}" if "tokens_per_second" in facts else "",
    "top layer": lambda facts: _top_layer(facts["layers"]),
}
_CSV: Columns = {
    "benchmark": "benchmark",
    "metric": "metric",
    "language": lambda row: row.language or "mean",
    "score": "value",
    "stderr": "error",
    "ci95_low": "interval.low",
    "ci95_high": "interval.high",
    "questions": "questions",
}


def _by_benchmark(results: Mapping[str, Any]) -> dict[str, list[ScoreRow]]:
    """The scores of each benchmark, the means first."""
    rows = sorted(score_rows(results), key=lambda row: row.language is not None)
    return {name: [row for row in rows if row.benchmark == name] for name in results["group_subtasks"]}


def _panel(rows: Sequence[ScoreRow], write: Callable[[ScoreRow], Any], corner: str) -> RecordTable:
    """A row a metric, a column a language, the mean first."""
    return RecordTable.crossed(corner, {(row.metric, row.language or "mean"): write(row) for row in rows})


# --- On screen ----------------------------------------------------------------------------------------------


def screen_table(results: Mapping[str, Any], *, width: int = 80) -> Table:
    """Scores of every benchmark, metric and language in % with half the 95 % interval below, within `width`.

    Below the scores: mean new tokens, the share of responses that ended by themselves, and the layer that
    was chosen most often, with its share. Where there are more languages than fit, a benchmark takes several
    rows.
    """
    return stacked(
        [_screen_panel(results, benchmark, rows) for benchmark, rows in _by_benchmark(results).items()],
        width=width,
        title=f"{described(results)}\nin %, below it half the 95 % interval (<, >: its other end)",
        caption=_below(results),
        title_justify="left",
        caption_justify="left",
    )


def _screen_panel(results: Mapping[str, Any], benchmark: str, rows: Sequence[ScoreRow]) -> RecordTable:
    panel = _panel(rows, _cell, rows[0].title)
    scores = [[_label(metric), *cells] for metric, *cells in panel.rows]
    tasks = [results["generation"][f"{benchmark}_{language}"] for language in panel.columns[2:]]
    facts = [[label, "", *map(fact, tasks)] for label, fact in _FACTS.items()]
    return RecordTable(panel.columns, scores + [[Text(cell, "dim") for cell in line] for line in facts])


def _label(metric: str) -> Text:
    name, _, rule = metric.partition(",")
    return Text.assemble(name.replace("_", " "), (f"\n{rule}" * (rule != "none"), "dim"))


def _cell(row: ScoreRow) -> Text:
    return Text.assemble(percent(row.value), (f"\n{uncertainty(row.value, row.interval)}", "dim"))


def _top_layer(layers: Mapping[str, int]) -> str:
    if not layers:
        return ""
    layer = max(layers, key=layers.__getitem__)
    return f"{layer}\n{100 * layers[layer] / sum(layers.values()):.0f}%"


def _below(results: Mapping[str, Any]) -> str:
    """The lines below the table: the average over benchmarks, and how much was not asked."""
    lines = list(filter(None, [average_line(results), pooled_line(results), partial_line(results)]))
    left_out = [n["original"] - n["effective"] for n in results["n-samples"].values()]
    if any(left_out):
        lines.append(
            f"{sum(left_out):,} questions left out, in {sum(map(bool, left_out))} task(s): see results.json"
        )
    lines += [line for line in [untranslated_line(results)] if line]
    return "\n".join(lines)


def average_line(results: Mapping[str, Any]) -> str:
    """The average over benchmarks in words; empty where there is only one."""
    if not results["average"]:
        return ""
    mean = score(results["average"]["score,paper"], results["average"]["score_ci95,paper"])
    return f"mean of {len(results['groups'])} benchmarks: {mean}"


def untranslated_line(results: Mapping[str, Any]) -> str:
    """The number of questions without a translation, in words; empty where all had one."""
    count, tasks = sum(map(len, results["untranslated"].values())), len(results["untranslated"])
    if not count:
        return ""
    return (
        f"{count:,} questions connected to their own prompt, for want of a translation, in {tasks} task(s): "
        "see results.json"
    )


def pooled_line(results: Mapping[str, Any]) -> str:
    """The main scores with every question counted equally, of benchmarks whose languages differ in size."""
    parts = []
    for benchmark, scores in results.get("pooled", {}).items():
        config = results["configs"][results["group_subtasks"][benchmark][0]]
        if config["main_metric"] in scores:
            parts.append(f"{config['title']} {percent(scores[config['main_metric']])}")
    return f"with every question counted equally: {', '.join(parts)}" if parts else ""


def partial_line(results: Mapping[str, Any]) -> str:
    """The number of responses behind scores that only some of them have, such as an answer's language."""
    parts = []
    for rows in _by_benchmark(results).values():
        means = [row for row in rows if row.language is None]
        questions = max(row.questions for row in means)
        for row in means:
            if row.questions < questions:
                name = row.metric.partition(",")[0].replace("_", " ")
                parts.append(f"{name} on {row.questions:,} of {questions:,} ({row.title})")
    return f"judged on a part of the responses: {', '.join(parts)}" if parts else ""


# --- In files -----------------------------------------------------------------------------------------------


def markdown_text(results: Mapping[str, Any]) -> str:
    """Scores with their intervals, how the responses came about, and the settings."""
    panels = _by_benchmark(results).values()
    means = [
        [f"{row.title} ({row.metric})", _score(row)]
        for rows in panels
        for row in rows
        if row.is_main and row.language is None
    ]
    facts = ["task", "questions", "left out", "new tokens", "ended, %", "connected, %", "layers chosen"]
    settings = [[name, str(value)] for name, value in results["config"].items()]
    parts = [
        f"# {in_markdown(described(results))}",
        "Scores in % with 95 % intervals. The mean counts every language equally.",
        RecordTable(["benchmark (metric)", "mean"], means).markdown(),
        average_line(results),
        pooled_line(results),
        partial_line(results),
        *(f"## {rows[0].title}\n\n{_panel(rows, _score, 'metric').markdown()}" for rows in panels),
        "## Responses",
        RecordTable(facts, [_facts_line(results, task) for task in results["results"]]).markdown(),
        untranslated_line(results),
        "## Settings",
        RecordTable(["setting", "value"], settings).markdown(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _score(row: ScoreRow) -> str:
    return score(row.value, row.interval)


def _facts_line(results: Mapping[str, Any], task: str) -> list[Any]:
    facts, layers = results["generation"][task], results["generation"][task]["layers"]
    total = sum(layers.values())
    chosen = sorted(layers, key=layers.__getitem__, reverse=True)
    shares = ", ".join(f"{layer}: {100 * layers[layer] / total:.0f} %" for layer in chosen[:3])
    total_questions, answered = (results["n-samples"][task][name] for name in ("original", "effective"))
    numbers = [f"{facts['new_tokens']:.1f}", percent(facts["stopped"]), percent(facts["connected"])]
    return [
        task,
        answered,
        total_questions - answered,
        *numbers,
        f"{shares}, ..." if len(chosen) > 3 else shares,
    ]


def csv_text(results: Mapping[str, Any]) -> str:
    """One line per score, between 0 and 1; the language of an average is `mean`."""
    return RecordTable.of(_CSV, score_rows(results)).csv()
