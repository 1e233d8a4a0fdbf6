"""Removes rows that nearly repeat another row, and rows that hold a question of a benchmark.

Every removed row is listed with what it is like in FILE.removed.jsonl. The same rows and options give the
same result.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box

from cctuning.data.rows import Row
from cctuning.preparation.command import add_row_arguments, check_target, named_rows, rows_file, script, share
from cctuning.preparation.files import removed_path, write_rows
from cctuning.preparation.manifest import count_languages, write_manifest
from cctuning.preparation.near_duplicates import NearDuplicate, near_duplicates
from cctuning.preparation.overlap import Overlap, overlaps, read_questions
from cctuning.reporting.tables import RecordTable
from cctuning.tools.console import PlainConsole, new_console
from cctuning.tools.files import write_whole

NEAR = "near duplicate"
HELD = "benchmark question"
THRESHOLD = 0.8


def _clean(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_target(options.data, options.write)
    console = new_console()
    rows, _ = named_rows(options)
    held, short = _held(rows, options)
    left = _without(rows, held)
    near = near_duplicates(left, threshold=options.near, seed=options.seed)
    kept = _without(left, near)
    write_rows(kept, options.write)
    removed = [*map(_held_record, held), *map(_near_record, near)]
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in removed)
    write_whole(removed_path(options.write), "".join(lines))
    write_manifest(
        options.write,
        command=command,
        inputs=[*options.data, *options.benchmarks],
        outputs=[options.write, removed_path(options.write)],
        counts=count_languages(kept),
        seed=options.seed,
        settings={"near": options.near, "overlap": options.overlap, "questions too short to tell": short},
        left_out={HELD: len(held), NEAR: len(near)},
        packages=["datasketch", "numpy", "scipy"],
    )
    _print(removed, short, console)
    console.say(f"removed rows -> {removed_path(options.write)}")
    console.say(f"{len(kept):,} of {len(rows):,} rows -> {options.write}")
    return 0


def _held(rows: Sequence[Row], options: argparse.Namespace) -> tuple[list[Overlap], int]:
    """The rows that hold a question, and how many questions are too short to tell."""
    if not options.benchmarks:
        return [], 0
    questions, short = read_questions(options.benchmarks)
    return overlaps(rows, questions, threshold=options.overlap), short


def _without(rows: Sequence[Row], faulty: Iterable[Overlap | NearDuplicate]) -> list[Row]:
    removed = {id(match.row) for match in faulty}
    return [row for row in rows if id(row) not in removed]


def _held_record(overlap: Overlap) -> dict[str, Any]:
    question = overlap.question
    of = {"file": question.file, "id": question.id, "column": question.column, "text": question.text}
    return _record(HELD, overlap.containment, overlap.row, of)


def _near_record(duplicate: NearDuplicate) -> dict[str, Any]:
    of = {
        "file": duplicate.of.file,
        "number": duplicate.of.number,
        "id": duplicate.of.id,
        "text": duplicate.of.instruction,
    }
    return _record(NEAR, duplicate.similarity, duplicate.row, of)


def _record(reason: str, similarity: float, row: Row, of: dict[str, Any]) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in ("file", "number", "id", "language")}
    texts = {name: getattr(row, name) for name in ("instruction", "instruction_en", "output")}
    return {"reason": reason, "similarity": round(similarity, 4), **fields, **texts, "of": of}


def _print(removed: Sequence[dict[str, Any]], short: int, console: PlainConsole) -> None:
    """Prints how much was removed of which language, and which benchmark files the questions are from."""
    if removed:
        counts = Counter((record["language"], record["reason"]) for record in removed)
        rows = [
            [language, *(counts[language, reason] for reason in (NEAR, HELD))]
            for language in sorted({language for language, _ in counts})
        ]
        totals = (sum(record["reason"] == reason for record in removed) for reason in (NEAR, HELD))
        rows += [[], ["all", *totals]]
        table = RecordTable(["language", NEAR, HELD], rows).screen(box=box.SIMPLE, pad_edge=False)
        console.print(table)
    files = Counter(record["of"]["file"] for record in removed if record["reason"] == HELD)
    for file, count in files.most_common():
        console.say(f"{count} with questions of {file}")
    if short:
        console.print(f"{short} questions of benchmarks are too short to be looked for")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_row_arguments(parser)
    add = parser.add_argument
    add("--write", type=rows_file, required=True, metavar="FILE", help="where the rows go that are kept")
    add(
        "--benchmarks",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folders or files of benchmark questions, as cctuning evaluate reads them",
    )
    add(
        "--near",
        type=share,
        default=THRESHOLD,
        help="near duplicates have prompts and responses at least this similar (default: %(default)s)",
    )
    add(
        "--overlap",
        type=share,
        default=THRESHOLD,
        help="a row holds a question if it has at least this share of it (default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="of the hash functions (default: %(default)s)")


main = script("clean", __doc__, _add_arguments, _clean)

if __name__ == "__main__":
    raise SystemExit(main())
