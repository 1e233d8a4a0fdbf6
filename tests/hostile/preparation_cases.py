"""What the scripts of cctuning prepare are given and cannot use."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from tests.hostile import models
from tests.hostile.benchmark_cases import MKQA
from tests.hostile.cases import Group
from tests.hostile.data_cases import OTHER, ROW, lines

CASES = Group("Preparing data")
case = functools.partial(CASES.case, status=2)
settings_case = functools.partial(case, script="cctuning.preparation.settings")
translate_case = functools.partial(case, script="cctuning.preparation.translate")
clean_case = functools.partial(case, script="cctuning.preparation.clean")
check_case = functools.partial(case, script="cctuning.preparation.check")
sdrrl_case = functools.partial(case, script="cctuning.preparation.sdrrl.__main__")
aya_case = functools.partial(case, script="cctuning.preparation.aya")
benchmarks_case = functools.partial(case, script="cctuning.preparation.benchmarks")


def rows(folder: Path, *changed: dict[str, Any]) -> str:
    """The name of a file of two good rows, or of these."""
    (folder / "rows.jsonl").write_text(lines(*(changed or (ROW, OTHER))), encoding="utf-8")
    return "rows.jsonl"


# --- Rows, and where they go --------------------------------------------------------------------------------


@settings_case("a file that does not exist", error="row.jsonl does not exist; did you mean 'rows.jsonl'?")
def no_rows(folder: Path) -> list[str]:
    rows(folder)
    return ["mt", "row.jsonl", "--write", "out.jsonl"]


@settings_case(
    "bad rows",
    error=(
        "1 bad row:\n"
        "  rows.jsonl, row 2, instruction: is empty\n"
        "Repair them, or write the others to a file: cctuning prepare check DATA --write FILE"
    ),
)
def bad_rows(folder: Path) -> list[str]:
    return ["mt", rows(folder, ROW, {**OTHER, "instruction": ""}), "--write", "out.jsonl"]


@settings_case("a setting that does not exist", error="argument setting: invalid choice: …")
def unknown_setting(folder: Path) -> list[str]:
    return ["end", rows(folder), "--write", "out.jsonl"]


@settings_case(
    "rows without output_en",
    error=(
        "there is nothing to add: no English response (2)\n"
        "English responses stand in the column output_en; cctuning prepare translate can add them"
    ),
)
def without_output_en(folder: Path) -> list[str]:
    return ["en", rows(folder), "--write", "out.jsonl"]


@settings_case(
    "rows of a language without a name",
    error=(
        "there is nothing to add: no English name of qaa is known (1)\n"
        "The language of a row stands in the column language; --language sets it for all"
    ),
)
def language_without_name(folder: Path) -> list[str]:
    return ["mt", rows(folder, {**ROW, "language": "qaa"}), "--write", "out.jsonl"]


@settings_case(
    "an output that is neither .jsonl nor .parquet",
    error="argument --write: 'out.csv' does not end in .jsonl or .parquet",
)
def output_suffix(folder: Path) -> list[str]:
    return ["mt", rows(folder), "--write", "out.csv"]


@settings_case(
    "the input as the output",
    error="--write rows.jsonl is a file that is read: choose another one",
)
def output_is_input(folder: Path) -> list[str]:
    return ["mt", rows(folder), "--write", "./rows.jsonl"]


@settings_case("a folder as the output", error="out.jsonl: Is a directory")
def output_folder(folder: Path) -> list[str]:
    (folder / "out.jsonl").mkdir()
    return ["mt", rows(folder), "--write", "out.jsonl"]


@settings_case("an output below a file", error="rows.jsonl: File exists")
def output_below_file(folder: Path) -> list[str]:
    return ["mt", rows(folder), "--write", "rows.jsonl/out.jsonl"]


@settings_case("half a `manifest.json` beside the output", error="manifest.json is not a manifest: …")
def broken_manifest(folder: Path) -> list[str]:
    (folder / "manifest.json").write_text('[{"command": ')
    return ["mt", rows(folder), "--write", "out.jsonl"]


@settings_case("a column for a field that does not exist", error="columns.prompt is no field of a row")
def unknown_field(folder: Path) -> list[str]:
    return ["mt", rows(folder), "--write", "out.jsonl", "--column", "prompt=text"]


@settings_case(
    "a language that is none",
    error="language='Swahili' is no language code (BCP 47, such as de, sw or zh-Hans)",
)
def unknown_language(folder: Path) -> list[str]:
    return ["mt", rows(folder), "--write", "out.jsonl", "--language", "Swahili"]


@check_case(
    "a folder without a manifest",
    error="manifest.json does not exist: `cctuning prepare` writes it beside its files",
)
def no_manifest(folder: Path) -> list[str]:
    return [rows(folder), "--manifest", "."]


# --- cctuning prepare translate -----------------------------------------------------------------------------


def translated(folder: Path, *more: str, pairs: str | None = None) -> list[str]:
    """Translating rows that have no English yet, with a file of translations."""
    kept = [{key: row[key] for key in row if key != "instruction_en"} for row in (ROW, OTHER)]
    content = lines({"text": "Mji?", "translation": "City?"}) if pairs is None else pairs
    (folder / "pairs.jsonl").write_text(content)
    defaults = {"--output": "out.jsonl", "--translator": "file", "--model": "pairs.jsonl"}
    words = [word for key, value in defaults.items() if key not in more for word in (key, value)]
    return [rows(folder, *kept), *words, *more]


@translate_case(
    "the input as the output of translations",
    error="--output rows.jsonl is a file that is read: choose another one",
)
def translated_into_itself(folder: Path) -> list[str]:
    return translated(folder, "--output", "rows.jsonl")


@translate_case(
    "a field that is to be its own translation",
    error="--to-field instruction is the field that is translated: name another one",
)
def field_into_itself(folder: Path) -> list[str]:
    return translated(folder, "--to-field", "instruction")


@translate_case(
    "translations in other columns",
    error=(
        "pairs.jsonl, row 1: it must have the columns text and translation, or instruction and "
        "instruction_en, or prompt and prompt_en, and has source, target"
    ),
)
def other_columns(folder: Path) -> list[str]:
    return translated(folder, pairs=lines({"source": "Mji?", "target": "City?"}))


@translate_case("a broken line of translations", error="pairs.jsonl, row 2: is broken JSON at column 10: …")
def broken_translations(folder: Path) -> list[str]:
    return translated(folder, pairs=lines({"text": "Mji?", "translation": "City?"}, '{"text": '))


@translate_case("an empty file of translations", error="pairs.jsonl holds no rows")
def empty_translations(folder: Path) -> list[str]:
    return translated(folder, pairs="")


@translate_case(
    "a folder as the file of translations",
    error="pairs is a folder: name a file of translations",
)
def folder_of_translations(folder: Path) -> list[str]:
    (folder / "pairs").mkdir()
    return translated(folder, "--model", "pairs")


@translate_case(
    "rows to translate that all lack their language",
    error=(
        "rows.jsonl, row 1, language: is missing; say it with --language, or have it identified with "
        "--from auto"
    ),
)
def row_without_language(folder: Path) -> list[str]:
    run = translated(folder)
    rows(folder, {key: ROW[key] for key in ROW if key not in ("language", "instruction_en")})
    return run


@translate_case(
    "a language to translate into that is none",
    error="'englisch' is no language code (BCP 47, such as de, sw or zh-Hans); near: en (English)",
)
def unknown_target(folder: Path) -> list[str]:
    return translated(folder, "--target", "englisch")


@translate_case("no texts at a time", error="argument --batch-size: '0' is no whole number from 1")
def no_batch(folder: Path) -> list[str]:
    return translated(folder, "--batch-size", "0")


@translate_case(
    "a cache that is none",
    error="cache.jsonl, line 1: is no line of a translation cache: take it away, or name another file",
)
def foreign_cache(folder: Path) -> list[str]:
    (folder / "cache.jsonl").write_text(lines(MKQA))
    return translated(folder, "--cache", "cache.jsonl")


@translate_case(
    "the rows as the cache",
    error="rows.jsonl, line 1: is no line of a translation cache: take it away, or name another file",
)
def rows_as_cache(folder: Path) -> list[str]:
    return translated(folder, "--cache", "rows.jsonl")


@translate_case(
    "a file without an end of line as the cache",
    error="notes.txt, line 1: is no line of a translation cache: take it away, or name another file",
)
def text_as_cache(folder: Path) -> list[str]:
    (folder / "notes.txt").write_text("not to be lost")
    return translated(folder, "--cache", "notes.txt")


@sdrrl_case(
    "too few rows to draw from",
    error="nothing is drawn from 2 rows: give more of them, or raise --share",
)
def few_rows(folder: Path) -> list[str]:
    return sdrrl(folder)


# --- cctuning prepare clean ---------------------------------------------------------------------------------


@clean_case("a similarity above 1", error="argument --near: '80' is not between 0 and 1")
def near_above_one(folder: Path) -> list[str]:
    return [rows(folder), "--write", "out.jsonl", "--near", "80"]


@clean_case(
    "rows where benchmark files belong",
    error="rows.jsonl is no benchmark file: it has neither prompt nor prompt_en",
)
def rows_as_benchmarks(folder: Path) -> list[str]:
    return [rows(folder), "--write", "out.jsonl", "--benchmarks", "rows.jsonl"]


@clean_case("no benchmark files", error="benchmarks holds no .jsonl, .jsonl.gz, .json, .json.gz, .parquet")
def no_benchmark_files(folder: Path) -> list[str]:
    (folder / "benchmarks").mkdir()
    return [rows(folder), "--write", "out.jsonl", "--benchmarks", "benchmarks"]


@clean_case("a benchmark file of broken lines", error="sw.jsonl, row 2: is broken JSON at column 8: …")
def broken_benchmark(folder: Path) -> list[str]:
    (folder / "sw.jsonl").write_text(lines(MKQA, '{"id": '))
    return [rows(folder), "--write", "out.jsonl", "--benchmarks", "sw.jsonl"]


# --- cctuning prepare sdrrl ---------------------------------------------------------------------------------


def sdrrl(folder: Path, *more: str) -> list[str]:
    """Rows of SDRRL from two rows, with a lexicon, which needs no alignment."""
    models.base(folder)
    (folder / "en-sw.txt").write_text("city\tmji\nriver\tmto\n")
    return [rows(folder), "--write", "out.jsonl", "--model", "base", "--use-cpu", *more]


@sdrrl_case(
    "a line of a lexicon that is no pair",
    error="en-sw.txt, line 2: must be an English word, a tab and its translation",
)
def lexicon_line(folder: Path) -> list[str]:
    run = sdrrl(folder, "--lexicon", "sw=en-sw.txt")
    (folder / "en-sw.txt").write_text("city\tmji\nriver\n")
    return run


@sdrrl_case("a lexicon in Latin-1", error="en-sw.txt is not UTF-8 at byte 8: save it as UTF-8")
def lexicon_latin_1(folder: Path) -> list[str]:
    run = sdrrl(folder, "--lexicon", "sw=en-sw.txt")
    (folder / "en-sw.txt").write_bytes("green\tgrün\n".encode("latin-1"))
    return run


@sdrrl_case("a lexicon that does not exist", error="en-sv.txt: No such file or directory")
def no_lexicon(folder: Path) -> list[str]:
    return sdrrl(folder, "--lexicon", "sw=en-sv.txt")


@sdrrl_case(
    "a lexicon without its language",
    error="argument --lexicon: 'en-sw.txt' is not LANGUAGE=FILE, such as sw=lexicons/en-sw.txt",
)
def lexicon_without_language(folder: Path) -> list[str]:
    return sdrrl(folder, "--lexicon", "en-sw.txt")


@sdrrl_case(
    "a lexicon of a language that no row is in",
    error="--lexicon de=en-sw.txt: no row is in that language, only in sw",
)
def lexicon_of_no_row(folder: Path) -> list[str]:
    return sdrrl(folder, "--lexicon", "de=en-sw.txt")


@sdrrl_case(
    "a share of a kind that does not exist",
    error="argument --share: 'croos' is no kind; did you mean 'cross'?",
)
def unknown_kind(folder: Path) -> list[str]:
    return sdrrl(folder, "--share", "croos=0.1")


@sdrrl_case("a share above 1", error="argument --share: '10' is not between 0 and 1")
def share_above_one(folder: Path) -> list[str]:
    return sdrrl(folder, "--share", "cross=10")


@sdrrl_case(
    "only English rows",
    error="all rows are English: there is nothing to distil into; name rows of other languages",
)
def english_rows(folder: Path) -> list[str]:
    run = sdrrl(folder)
    rows(folder, {**ROW, "language": "en"})
    return run


@sdrrl_case("no tokens for an answer", error="argument --max-new-tokens: '0' is no whole number from 1")
def no_tokens(folder: Path) -> list[str]:
    return sdrrl(folder, "--max-new-tokens", "0")


@sdrrl_case(
    "answers of another kind",
    error=(
        "out.answers.jsonl, line 1: is no line of a file of answers: take the line away, or name "
        "another output"
    ),
)
def foreign_answers(folder: Path) -> list[str]:
    run = sdrrl(folder, "--share", "english=1")
    (folder / "out.answers.jsonl").write_text(lines(MKQA))
    return run


@sdrrl_case(
    "a model of cctuning prepare sdrrl that does not exist",
    error="--model=bas/e: there is no such folder, and as a hub name: …",
)
def no_model(folder: Path) -> list[str]:
    return ["bas/e" if word == "base" else word for word in sdrrl(folder, "--share", "english=1")]


# --- cctuning prepare aya and cctuning prepare benchmarks ---------------------------------------------------


@aya_case(
    "rows that are not Aya",
    error=(
        "rows.jsonl is not Aya: no column 'inputs'; it has id, language, instruction, instruction_en, output"
    ),
)
def no_aya(folder: Path) -> list[str]:
    return [rows(folder), "--write", "out.jsonl"]


@aya_case("more rows than there are", error="there are 1 rows that can be used: --rows 1 takes them all")
def too_many_rows(folder: Path) -> list[str]:
    row = {"inputs": "Mji mkuu?", "targets": "Nairobi.", "language_code": "swh"}
    return [rows(folder, row), "--write", "out.jsonl"]


@aya_case("less rows than none", error="argument --rows: '-5' is no whole number from 1")
def fewer_than_no_rows(folder: Path) -> list[str]:
    row = {"inputs": "Mji mkuu?", "targets": "Nairobi.", "language_code": "swh"}
    return [rows(folder, row), "--write", "out.jsonl", "--rows", "-5"]


@benchmarks_case(
    "a benchmark that does not exist",
    error="benchmark 'xnil' is not one of xnli, …; did you mean 'xnli'?",
)
def unknown_benchmark(folder: Path) -> list[str]:
    return ["xnil", "--output", "out"]


@benchmarks_case(
    "a language that the benchmark does not have",
    error="XCOPA has no language 'de' in the set 'benchmarks', only en, et, ht…",
)
def unknown_benchmark_language(folder: Path) -> list[str]:
    return ["xcopa", "--output", "out", "--languages", "de"]


@benchmarks_case(
    "no clone of a benchmark",
    error="clones/aps/super_glue is no folder: it should hold a clone of aps/super_glue",
)
def no_clone(folder: Path) -> list[str]:
    return ["xcopa", "--output", "out", "--root", "clones"]


@benchmarks_case("a translator without its model", error="--translator nllb needs --translator-model")
def translator_without_model(folder: Path) -> list[str]:
    return ["xlsum", "--output", "out", "--translator", "nllb"]


@benchmarks_case(
    "half a `manifest.json` beside benchmark files",
    error="out/manifest.json is not a manifest: …",
)
def manifest_of_benchmarks(folder: Path) -> list[str]:
    (folder / "out/XCOPA").mkdir(parents=True)
    (folder / "out/manifest.json").write_text('[{"command": ')
    (folder / "out/XCOPA/sw.jsonl").write_text(lines(MKQA))
    return ["xcopa", "--output", "out", "--languages", "sw"]


@benchmarks_case("known faults that are no object", error="out/anomalies.json is no object of faults")
def faults_of_benchmarks(folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out/anomalies.json").write_text(json.dumps([1]))
    return ["xcopa", "--output", "out", "--root", "clones"]
