"""The probes of a study side by side: pilot questions under all pairs, unseen ones under the chosen ones.

XTransplant's Tables 1 to 3.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from cctuning.analysis.measures.overview import CONSISTENT, unseen_cell
from cctuning.analysis.measures.proposals import proposal_lines
from cctuning.analysis.measures.strategies import STRATEGIES
from cctuning.analysis.probing.comparable import read_probe
from cctuning.commands.compare_results import write_comparison
from cctuning.commands.studies.plan import TableRow
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.comparison.compare import Comparison, compare
from cctuning.evaluation.comparison.evaluations import Evaluation
from cctuning.reporting.documents import in_markdown
from cctuning.reporting.scores import score
from cctuning.reporting.tables import NO_LINES, Columns, RecordTable
from cctuning.stats.estimates import MEAN
from cctuning.tools.json_text import from_json
from cctuning.tools.marks import finish

Cells = dict[tuple[str, str], str]  # by the names of row and column

PROBE_TABLES = ("table.csv", "table.md")
_PILOT = {"upper_bound": "upper bound", "chance_bound": "by chance", "bound_over_chance": "above chance"}
_PILOT_QUESTIONS, _UNSEEN_QUESTIONS, _CONSISTENCY = (
    "Pilot questions",
    "Unseen questions",
    "Language consistency on unseen questions",
)
_TEXTS = {
    _PILOT_QUESTIONS: "Right answers in %, means over languages with 95 % intervals. The upper bound counts "
    "a question that any pair of layers answers; by chance is what the same answers reach when they are "
    "judged by the gold answers of other questions.",
    _UNSEEN_QUESTIONS: "Pairs that the pilot chose, in brackets the difference to the original on the same "
    "questions; one to three stars: p < 0.05, 0.01, 0.001 after Holm's correction.",
    _CONSISTENCY: CONSISTENT,
}
_CSV: Columns = {name: name for name in ("questions", "row", "benchmark", "value", "low", "high")}


@dataclasses.dataclass(frozen=True)
class ProbeTables:
    """Tables by heading, the same numbers as records, and what else there is to say of each row."""

    tables: dict[str, RecordTable]
    records: list[dict[str, Any]]
    proposals: list[str]

    def markdown(self, title: str, rows: Sequence[TableRow]) -> str:
        """All of it, and where the figures and reports of the rows are."""
        parts = [f"# {title}"]
        for heading, table in self.tables.items():
            parts += [f"## {heading}", _TEXTS[heading], table.markdown()]
        if self.proposals:
            parts += ["## Where to connect", "\n".join(f"- {in_markdown(line)}" for line in self.proposals)]
        folders = [f"- {in_markdown(row.title)}: {step.output}" for row in rows for step in row.evaluations]
        parts += [
            "## Language by language, layer by layer",
            "`report.html` and `figures` in",
            "\n".join(folders),
        ]
        return "\n\n".join(parts) + "\n"

    def screen(self) -> list[RenderableType]:
        """The tables as they are printed."""
        return [table.screen(title=heading, **NO_LINES) for heading, table in self.tables.items()]


def read_probe_tables(rows: Sequence[TableRow]) -> ProbeTables:
    """The tables of finished probes. Raises `OSError` and `ValueError` for a summary that cannot be read."""
    cells: dict[str, Cells] = {_PILOT_QUESTIONS: {}, _UNSEEN_QUESTIONS: {}, _CONSISTENCY: {}}
    records: list[dict[str, Any]] = []
    proposals = []
    for row in rows:
        for step in row.evaluations:
            summary = from_json(step.mark.read_text(encoding="utf-8"))
            for name, benchmark, estimate, signed in _pilot(summary):
                place = (f"{row.title}, {name}", benchmark)
                interval = estimate["low"], estimate["high"]
                cells[_PILOT_QUESTIONS][place] = score(estimate["value"], interval, signed=signed)
                records.append(_record("pilot", place, estimate["value"], *interval))
            for heading, kind, scores in (
                (_UNSEEN_QUESTIONS, "unseen", "scores"),
                (_CONSISTENCY, "unseen consistency", "consistency"),
            ):
                for name, benchmark, scored in _unseen(summary, scores):
                    place = (f"{row.title}, {name}", benchmark)
                    if place not in cells[heading]:
                        cells[heading][place] = unseen_cell(scored)
                        records.append(_record(kind, place, scored["score"], *scored["interval"]))
            proposals += [f"{row.title}, {line}" for line in proposal_lines(summary.get("proposals", {}))]
    tables = {heading: RecordTable.crossed("", own) for heading, own in cells.items() if own}
    return ProbeTables(tables, records, proposals)


def _pilot(summary: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Name, benchmark and estimate of the numbers of all pairs, and whether it is a difference.

    The original comes once for all sub-layers.
    """
    for number, (sublayer, by_benchmark) in enumerate(summary["bounds"].items()):
        for name, bounds in by_benchmark.items():
            title = find_benchmark(name).title
            if not number:
                yield "original", title, bounds["original"][MEAN], False
            for quantity, words in _PILOT.items():
                if quantity in bounds:
                    is_difference = quantity == "bound_over_chance"
                    yield f"{words}, {sublayer}", title, bounds[quantity][MEAN], is_difference


def _unseen(summary: dict[str, Any], scores: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The same of methods on unseen questions; those without a transplant do not differ by sub-layer."""
    for sublayer, content in summary["unseen"].items():
        for scored in content[scores]:
            if scored["language"] is None and (scored["is_main"] or scores == "consistency"):
                name = scored["name"] + (f", {sublayer}" if scored["name"] in STRATEGIES else "")
                yield name, scored["title"], scored


def _record(questions: str, place: tuple[str, str], value: Any, low: Any, high: Any) -> dict[str, Any]:
    return {
        "questions": questions, "row": place[0], "benchmark": place[1],
        "value": value, "low": low, "high": high,
    }  # fmt: skip


def write_probe_tables(tables: ProbeTables, rows: Sequence[TableRow], folder: Path, *, title: str) -> None:
    """`table.csv` and `table.md` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    finish(folder, PROBE_TABLES[0], RecordTable.of(_CSV, tables.records).csv())
    finish(folder, PROBE_TABLES[1], tables.markdown(title, rows))


def compare_rows(rows: Sequence[TableRow], folder: Path) -> Comparison | None:
    """Writes the rows question by question, with the first one as the baseline, as `cctuning compare` does.

    None where there is one row only. Raises `ValueError` where they share no questions.
    """
    if len(rows) < 2:
        return None
    evaluations = []
    for row in rows:
        probes = [read_probe(step.output) for step in row.evaluations]
        tasks = {name: task for probe in probes for name, task in probe.tasks.items()}
        evaluations.append(Evaluation(probes[0].folder, probes[0].config, tasks))
    comparison = compare(evaluations, [row.title for row in rows], common_only=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_comparison(folder, comparison, None)
    return comparison
