"""Checks training data before a run: counts, lengths and faults for every language.

Exits with status 1 where rows were rejected, unless --write put the good ones into a file of their own.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table

from cctuning.data.rows import Problem, Row, rejected_text, write_rejects
from cctuning.preparation.command import add_row_arguments, check_target, named_rows, rows_file, script
from cctuning.preparation.files import rejects_path, write_rows
from cctuning.preparation.manifest import changed_files
from cctuning.reporting.tables import RecordTable
from cctuning.tools.console import PlainConsole, new_console

FIELDS = ("instruction", "instruction_en", "output")


@dataclass(frozen=True)
class LanguageReport:
    """Statistics of one language's rows. Lengths are in characters."""

    language: str
    rows: int
    repeated: int  # rows whose instruction and output are also those of an earlier row
    same_as_english: int  # rows whose instruction is its own English parallel
    without_response: int
    lengths: dict[str, tuple[int, int, int]]  # of each of FIELDS: median, 95th percentile, maximum


def report(rows: Iterable[Row]) -> list[LanguageReport]:
    """One report per language, in alphabetical order."""
    by_language: dict[str, list[Row]] = {}
    for row in rows:
        by_language.setdefault(row.language, []).append(row)
    return [_language_report(language, by_language[language]) for language in sorted(by_language)]


def _language_report(language: str, rows: Sequence[Row]) -> LanguageReport:
    texts = {field: [text for row in rows if (text := getattr(row, field))] for field in FIELDS}
    lengths = {field: sorted(map(len, of_field)) or [0] for field, of_field in texts.items()}
    return LanguageReport(
        language=language,
        rows=len(rows),
        repeated=len(rows) - len({(row.instruction, row.output) for row in rows}),
        same_as_english=sum(row.instruction == row.instruction_en for row in rows),
        without_response=sum(not row.output for row in rows),
        lengths={
            field: (percentile(values, 50), percentile(values, 95), values[-1])
            for field, values in lengths.items()
        },
    )


def percentile(values: Sequence[int], percent: float) -> int:
    """The smallest of the sorted `values` that at least `percent` % of them do not exceed."""
    return values[max(math.ceil(len(values) * percent / 100), 1) - 1]


def _check(options: argparse.Namespace) -> int:
    if options.write is not None:
        check_target(options.data, options.write)
    console = new_console()
    rows, problems = named_rows(
        options, english=not options.plain, response=not options.alignment, on_bad_row="skip"
    )
    if rows:
        console.print(_table(report(rows)))
    _print_problems(problems, options.show, console)
    changed = changed_files(options.manifest) if options.manifest else []
    for line in changed:
        console.say(f"manifest: {line}")
    if options.write is not None:
        _write(rows, problems, options.write, console)
        problems = []
    return 1 if problems or changed else 0


def _write(rows: Sequence[Row], problems: Sequence[Problem], path: Path, console: PlainConsole) -> None:
    write_rows(rows, path)
    console.say(f"{len(rows)} rows -> {path}")
    if problems:
        write_rejects(problems, rejects_path(path))
        console.say(f"rejected rows -> {rejects_path(path)}")


def _table(reports: Sequence[LanguageReport]) -> Table:
    counted = {"rows": "rows", "repeated": "repeated", "same_as_english": "= en"}
    if any(report.without_response for report in reports):
        counted["without_response"] = "no response"
    rows = [
        [
            report.language,
            *(getattr(report, name) for name in counted),
            *("/".join(map(str, report.lengths[field])) for field in FIELDS),
        ]
        for report in reports
    ]
    if len(reports) > 1:
        rows += [[], ["all", *(sum(getattr(report, name) for report in reports) for name in counted)]]
    head = ["language", *counted.values(), "prompt", "English", "response"]
    return RecordTable(head, rows).screen(
        box=box.SIMPLE,
        pad_edge=False,
        caption="lengths in characters: median/95 %/longest; = en: the prompt is its English",
    )


def _print_problems(problems: Sequence[Problem], shown: int, console: PlainConsole) -> None:
    if not problems:
        console.print("no bad rows")
        return
    parts = Counter(problem.part for problem in problems)
    counts = ", ".join(f"{part} {count}" for part, count in parts.most_common())
    console.print(f"{rejected_text(problems, 'bad row')} ({counts})")
    for problem in problems[:shown]:
        console.say(f"  {problem}")
    if len(problems) > shown:
        console.print(f"  and {len(problems) - shown} more")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_row_arguments(parser)
    add = parser.add_argument
    add("--plain", action="store_true", help="rows without an English side, for training without connection")
    add("--alignment", action="store_true", help="take rows without a response, for connection.alignment")
    add("--show", type=int, default=20, help="how many problems to print (default: 20)")
    add(
        "--write",
        type=rows_file,
        metavar="FILE",
        help="write the good rows to FILE (.jsonl or .parquet) and list the others beside it",
    )
    add(
        "--manifest",
        metavar="FOLDER",
        help="also compare the files of FOLDER with its manifest.json: missing or changed ones give status 1",
    )


main = script("check", __doc__, _add_arguments, lambda options, command: _check(options))

if __name__ == "__main__":
    raise SystemExit(main())
