"""What the scripts of data preparation are given and cannot use."""

import functools
import json
from pathlib import Path
from typing import Any

from tests.hostile import models
from tests.hostile.benchmark_cases import MKQA
from tests.hostile.cases import Make, Table
from tests.hostile.data_cases import OTHER, ROW, lines

TABLE = Table("cctuning.preparation.settings", status=2)
settings = TABLE.row
translate, clean, check, sdrrl, aya, benchmarks = (
    functools.partial(TABLE.row, script=f"cctuning.preparation.{name}")
    for name in ("translate", "clean", "check", "sdrrl.__main__", "aya", "benchmarks")
)
PAIR = {"text": "Mji?", "translation": "City?"}


def write_rows(folder: Path, *changed: dict[str, Any]) -> None:
    """A file of two good rows, or of these."""
    (folder / "rows.jsonl").write_text(lines(*(changed or (ROW, OTHER))), encoding="utf-8")


def on_rows(
    folder: Path, *words: str, rows: tuple[dict[str, Any], ...] = (), files: dict[str, str] | None = None
) -> list[str]:
    """These words, with `ROWS` for the name of a file of rows; beside it other files, or folders (a/)."""
    write_rows(folder, *rows)
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (folder / name).mkdir()
        else:
            (folder / name).write_text(content)
    return ["rows.jsonl" if word == "ROWS" else word for word in words]


def to_out(*words: str) -> tuple[str, ...]:
    """Words of a script that reads the rows and writes a file."""
    return ("ROWS", "--write", "out.jsonl", *words)


# --- Rows, and where they go --------------------------------------------------------------------------------

settings(
    "bad rows",
    "1 bad row … rows.jsonl, row 2, instruction: … empty … check",
    on_rows,
    "mt",
    *to_out(),
    rows=(ROW, {**OTHER, "instruction": ""}),
)
settings(
    "a language without a name",
    "nothing to add … English name of qaa … (1) … --language",
    on_rows,
    "mt",
    *to_out(),
    rows=({**ROW, "language": "qaa"},),
)
settings(
    "a folder as the output", "out.jsonl: Is a directory", on_rows, "mt", *to_out(), files={"out.jsonl/": ""}
)
settings(
    "an output below a file",
    "rows.jsonl: File exists",
    on_rows,
    "mt",
    "ROWS",
    "--write",
    "rows.jsonl/out.jsonl",
)
settings(
    "half a manifest.json",
    "manifest.json … manifest",
    on_rows,
    "mt",
    *to_out(),
    files={"manifest.json": '[{"command": '},
)
settings("a column for no field", "columns.prompt … field", on_rows, "mt", *to_out("--column", "prompt=text"))
settings(
    "a language that is none",
    "language='Swahili' … language code",
    on_rows,
    "mt",
    *to_out("--language", "Swahili"),
)

# --- Translation --------------------------------------------------------------------------------------------


def translated(
    folder: Path, *more: str, pairs: str = lines(PAIR), files: dict[str, str] | None = None
) -> list[str]:
    """Translating rows that have no English yet, with a file of translations."""
    kept = tuple({key: row[key] for key in row if key != "instruction_en"} for row in (ROW, OTHER))
    defaults = {"--output": "out.jsonl", "--translator": "file", "--model": "pairs.jsonl"}
    words = [word for key, value in defaults.items() if key not in more for word in (key, value)]
    return on_rows(folder, "ROWS", *words, *more, rows=kept, files={"pairs.jsonl": pairs, **(files or {})})


CACHE = "line 1: … translation cache"

translate(
    "the input as the output of translations",
    "--output rows.jsonl … read",
    translated,
    "--output",
    "rows.jsonl",
)
translate(
    "a field translated into itself",
    "--to-field instruction … field",
    translated,
    "--to-field",
    "instruction",
)
translate(
    "a broken line of translations",
    "pairs.jsonl, row 2: … JSON … column 10",
    translated,
    pairs=lines(PAIR, '{"text": '),
)
translate("no translations", "pairs.jsonl … no rows", translated, pairs="")
translate(
    "a folder of translations", "pairs … folder … file", translated, "--model", "pairs", files={"pairs/": ""}
)
translate(
    "a language to translate into that is none",
    "'englisch' … language code … en (English)",
    translated,
    "--target",
    "englisch",
)
translate("no texts at a time", "--batch-size: '0' … from 1", translated, "--batch-size", "0")
translate(
    "a foreign cache",
    f"cache.jsonl, {CACHE}",
    translated,
    "--cache",
    "cache.jsonl",
    files={"cache.jsonl": lines(MKQA)},
)
translate("the rows as the cache", f"rows.jsonl, {CACHE}", translated, "--cache", "rows.jsonl")
translate(
    "a text without an end of line as the cache",
    f"notes.txt, {CACHE}",
    translated,
    "--cache",
    "notes.txt",
    files={"notes.txt": "not to be lost"},
)


# --- Cleaning -----------------------------------------------------------------------------------------------

clean("a similarity above 1", "--near: '80' … between 0 and 1", on_rows, *to_out("--near", "80"))
clean(
    "rows for benchmark files",
    "rows.jsonl … benchmark file … prompt",
    on_rows,
    *to_out("--benchmarks", "rows.jsonl"),
)
clean(
    "no benchmark files",
    "benchmarks holds no .jsonl, .jsonl.gz, .json, .json.gz, .parquet",
    on_rows,
    *to_out("--benchmarks", "benchmarks"),
    files={"benchmarks/": ""},
)
clean(
    "a broken line of a benchmark",
    "sw.jsonl, row 2: … JSON … column 8",
    on_rows,
    *to_out("--benchmarks", "sw.jsonl"),
    files={"sw.jsonl": lines(MKQA, '{"id": ')},
)

# --- SDRRL --------------------------------------------------------------------------------------------------


def distilled(
    folder: Path,
    *more: str,
    lexicon: str = "city\tmji\nriver\tmto\n",
    encoding: str = "utf-8",
    make: Make = on_rows,
    **files: Any,
) -> list[str]:
    """Rows of SDRRL from two rows, with a lexicon, which needs no alignment."""
    models.base(folder)
    (folder / "en-sw.txt").write_bytes(lexicon.encode(encoding))
    return make(folder, *to_out("--model", "base", "--use-cpu"), *more, **files)


sdrrl("too few rows to draw from", "nothing is drawn … 2 rows … --share", distilled)
sdrrl(
    "a line of a lexicon that is no pair",
    "en-sw.txt, line 2: … English word",
    distilled,
    "--lexicon",
    "sw=en-sw.txt",
    lexicon="city\tmji\nriver\n",
)
sdrrl(
    "a lexicon in Latin-1",
    "en-sw.txt … UTF-8 … byte 8",
    distilled,
    "--lexicon",
    "sw=en-sw.txt",
    lexicon="green\tgrün\n",
    encoding="latin-1",
)
sdrrl("a lexicon that does not exist", "en-sv.txt: No such file", distilled, "--lexicon", "sw=en-sv.txt")
sdrrl(
    "a lexicon of a language of no row", "--lexicon de=en-sw.txt … sw", distilled, "--lexicon", "de=en-sw.txt"
)
sdrrl("no tokens for an answer", "--max-new-tokens: '0' … from 1", distilled, "--max-new-tokens", "0")
sdrrl(
    "a foreign file of answers",
    "out.answers.jsonl, line 1: … answers",
    distilled,
    "--share",
    "english=1",
    files={"out.answers.jsonl": lines(MKQA)},
)
sdrrl(
    "a model that does not exist",
    "--model=bas/e: … no such folder … hub",
    lambda folder: [
        "bas/e" if word == "base" else word for word in distilled(folder, "--share", "english=1")
    ],
)

# --- Aya and benchmarks -------------------------------------------------------------------------------------

AYA = {"inputs": "Mji mkuu?", "targets": "Nairobi.", "language_code": "swh"}

aya("fewer rows than none", "--rows: '-5' … from 1", on_rows, *to_out("--rows", "-5"), rows=(AYA,))


def benchmark(folder: Path, name: str, *more: str, files: dict[str, str] | None = None) -> list[str]:
    """Making the files of a benchmark."""
    for path, content in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return [name, "--output", "out", *more]


benchmarks(
    "no clone of a benchmark",
    "clones/aps/super_glue … folder … clone",
    benchmark,
    "xcopa",
    "--root",
    "clones",
)
benchmarks(
    "half a manifest.json of benchmarks",
    "out/manifest.json … manifest",
    benchmark,
    "xcopa",
    "--languages",
    "sw",
    files={"out/manifest.json": '[{"command": ', "out/XCOPA/sw.jsonl": lines(MKQA)},
)
benchmarks(
    "known issues that are no object",
    "out/anomalies.json … object",
    benchmark,
    "xcopa",
    "--root",
    "clones",
    files={"out/anomalies.json": json.dumps([1])},
)
