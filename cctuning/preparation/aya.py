"""Draws a language-balanced sample of the Aya data set: 20,236 rows in all its languages.

Each language gives the same number of rows, and those that have fewer give all; what is missing is spread
over the others. The rows have no English of their prompts yet, except the English ones:
`cctuning prepare translate` adds it.
"""

import argparse
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cctuning.data.fields import is_english
from cctuning.preparation.aya_source import AYA, AyaRow, read_aya
from cctuning.preparation.command import check_target, language_table, rows_file, script, whole_number
from cctuning.preparation.files import COLUMNS, Record, write_records
from cctuning.preparation.manifest import write_manifest
from cctuning.preparation.shingles import normalised
from cctuning.tools.console import new_console
from cctuning.tools.progress import tracked

ROWS = 20_236  # of the paper
SHORTEST, LONGEST = 2, 4000  # characters; the longest are of prompt and response together


def _prepare(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_target([options.source], options.write)
    console = new_console()
    left_out = Counter[str]()
    aya_rows = read_aya(options.source, split=options.split)
    usable = list(_usable(tracked(aya_rows, "Aya"), left_out, options.longest))
    drawn = balanced(usable, options.rows, seed=options.seed)
    write_records([_record(row) for row in drawn], options.write)
    counts = dict(Counter(row.language for row in drawn))
    write_manifest(
        options.write,
        command=command,
        inputs=[options.source],
        outputs=[options.write],
        counts=counts,
        seed=options.seed,
        settings={"longest": options.longest, "split": options.split},
        left_out={**left_out, "not drawn": len(usable) - len(drawn)},
        packages=["datasets", "langcodes"],
    )
    console.print(language_table(counts))
    for reason, count in left_out.most_common():
        console.print(f"left out: {count:,} ({reason})")
    console.say(f"{len(drawn):,} of {len(usable):,} rows in {len(counts)} languages -> {options.write}")
    return 0


def balanced(rows: Sequence[AyaRow], count: int, *, seed: int) -> list[AyaRow]:
    """`count` rows with equal shares per language, drawn at random, in their old order.

    What is drawn of a language depends on its own rows, its share and the seed alone. Raises `ValueError`
    where there are fewer rows.
    """
    if count > len(rows):
        raise ValueError(f"there are {len(rows):,} rows that can be used: --rows {len(rows)} takes them all")
    by_language: dict[str, list[AyaRow]] = {}
    for row in rows:
        by_language.setdefault(row.language, []).append(row)
    drawn = []
    for language, share in shares(
        {code: len(of_language) for code, of_language in by_language.items()}, count
    ).items():
        drawn += random.Random(f"{seed} {language}").sample(by_language[language], share)
    return sorted(drawn, key=lambda row: row.number)


def shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """How many of `count` rows each language gives: equal shares, or all it has where that is less.

    What does not divide evenly comes from the first in alphabetical order that have more.
    """
    given: dict[str, int] = {}
    left = count
    for name in sorted(sizes, key=lambda name: sizes[name]):
        each = left // (len(sizes) - len(given))
        if sizes[name] > each:  # so have all that follow
            break
        given[name] = sizes[name]
        left -= sizes[name]
    others = sorted(sizes.keys() - given.keys())
    for place, name in enumerate(others):
        given[name] = left // len(others) + (place < left % len(others))
    return {name: given[name] for name in sorted(given)}


def _usable(rows: Iterable[AyaRow | None], left_out: Counter[str], longest: int) -> Iterable[AyaRow]:
    """The rows that may be drawn; the others are counted by reason."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if row is None:
            left_out["no text or no language"] += 1
            continue
        key = (row.language, normalised(row.prompt) or row.prompt)
        if len(row.prompt) + len(row.response) > longest:
            left_out[f"longer than {longest:,} characters"] += 1
        elif len(row.prompt.strip()) < SHORTEST:
            left_out[f"a prompt of less than {SHORTEST} characters"] += 1
        elif key in seen:
            left_out["a prompt that is there before"] += 1
        else:
            seen.add(key)
            yield row


def _record(row: AyaRow) -> Record:
    english = row.prompt if is_english(row.language) else None
    fields = {"id": f"aya:{row.number}", "language": row.language, "instruction": row.prompt}
    return dict.fromkeys(COLUMNS) | fields | {"instruction_en": english, "output": row.response}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", nargs="?", default=AYA, help="hub data set, or files of it (default: %(default)s)")
    add("--split", default="train", help="of the data set (default: %(default)s)")
    add(
        "--write",
        type=rows_file,
        default=Path("data/aya.jsonl"),
        metavar="FILE",
        help="where the rows go, as .jsonl or .parquet (default: %(default)s)",
    )
    add("--rows", type=whole_number, default=ROWS, help="how many (default: %(default)s)")
    add(
        "--longest",
        type=whole_number,
        default=LONGEST,
        help="characters of prompt and response (default: %(default)s)",
    )
    add("--seed", type=int, default=42, help="of the draw (default: %(default)s)")


main = script("aya", __doc__, _add_arguments, _prepare)

if __name__ == "__main__":
    raise SystemExit(main())
