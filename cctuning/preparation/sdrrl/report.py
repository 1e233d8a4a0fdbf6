"""Report of `cctuning prepare sdrrl`: the files beside its rows, and the lines at its end."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from cctuning.data.rows import Problem, Row, write_rejects
from cctuning.preparation.files import rejects_path, write_rows
from cctuning.preparation.sdrrl.build import Built
from cctuning.preparation.sdrrl.draw import SHARES, Shortage
from cctuning.preparation.sdrrl.parallel import FEWEST_TEXTS, most_linked
from cctuning.reporting.tables import RecordTable
from cctuning.tools.files import write_whole

_STAGES = {"answer": "answers of no use", "translation": "faulty translations"}


def words_path(output: Path) -> Path:
    """The list of the word pairs that the aligner found."""
    return output.with_suffix(".words.tsv")


def write_files(built: Built, output: Path) -> list[Path]:
    """Writes the rows, the base rows that became none, and the word pairs; returns the files."""
    write_rows(built.rows, output, kinds=built.kinds)
    write_rejects(built.problems, rejects_path(output))
    lines = [
        "\t".join((language, *pair, str(count))) + "\n"
        for language, pairs in built.word_pairs.items()
        for pair, count in most_linked(pairs)
    ]
    write_whole(words_path(output), "".join(["language\tenglish\tword\tlinks\n", *lines]))
    return [output, rejects_path(output), words_path(output)]


def left_out(problems: Sequence[Problem]) -> dict[str, int]:
    """The number of rows that were lost, by reason."""
    return dict(Counter(map(_reason, problems)).most_common())


def _reason(problem: Problem) -> str:
    if problem.field == "language":
        return f"language {problem.message}"
    return _STAGES.get(problem.field, "nothing to exchange")


def too_few_to_align(texts: Mapping[str, Sequence[object]], alignable: Sequence[str]) -> Iterator[str]:
    """A line for each language whose words cannot be exchanged."""
    for language in sorted(texts.keys() - set(alignable)):
        yield (
            f"{language}: {len(texts[language])} parallel texts are too few to align words, at least "
            f"{FEWEST_TEXTS} are needed: no code-switched rows without --lexicon {language}=FILE"
        )


def tables(rows: Sequence[Row], built: Built) -> Iterator[Table]:
    """Rows per kind, and per language of the base rows, each with its share of the base rows."""
    kinds = Counter(built.kinds)
    shares = [[kind, kinds[kind], f"{kinds[kind] / len(rows):.3f}"] for kind in SHARES]
    table = RecordTable(["kind", "rows", "for one base row"], shares)
    yield table.screen(box=box.SIMPLE, pad_edge=False)
    base = Counter(row.language for row in rows)
    # A row whose prompt is English counts where its base row's language is.
    languages = {(row.file, row.number): row.language for row in rows}
    added = Counter(languages[row.file, row.number] for row in built.rows)
    counts = [(language, base[language], added[language]) for language in sorted(base)]
    counts.append(("all", len(rows), len(built.rows)))
    lines = [[name, base_rows, more, f"{1 + more / base_rows:.2f}"] for name, base_rows, more in counts]
    lines.insert(-1, [])
    table = RecordTable(["language", "base", "added", "ratio"], lines)
    caption = "ratio: base and added rows to base rows"
    yield table.screen(box=box.SIMPLE, pad_edge=False, caption=caption)


def remarks(built: Built, short: Sequence[Shortage], output: Path) -> Iterator[str]:
    """Remarks on shortages, on rows that were left out, and on where the rows are."""
    for shortage in short:
        counted = f"{shortage.drawn} of {shortage.wanted} rows"
        yield f"{shortage.language}, {shortage.kind}: {counted}, no more base rows can serve it"
    if built.problems:
        counted = ", ".join(f"{reason} {count}" for reason, count in left_out(built.problems).items())
        yield f"left out: {len(built.problems)} ({counted}) -> {rejects_path(output)}"
    yield f"{len(built.rows)} rows -> {output}"
