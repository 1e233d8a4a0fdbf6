"""Benchmark files that evaluate.py cannot ask, and known faults that it cannot read."""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.hostile.cases import Group
from tests.hostile.data_cases import lines
from tests.scripts import write_base

CASES = Group("Benchmark files")
case = functools.partial(CASES.case, script="evaluate")

MKQA = {"id": 1, "language": "sw", "prompt": "Mji?", "prompt_en": "City?", "answer": ["Nairobi"]}
OTHER = {**MKQA, "id": 2, "prompt": "Mto?", "prompt_en": "River?", "answer": ["Tana"]}
XNLI = {**MKQA, "answer": ["2"], "options": {"1": "yes", "2": "no", "3": "maybe"}}


def arguments(folder: Path, *more: str, benchmark: str = "mkqa", model: str = "base") -> list[str]:
    """Of an evaluation of a tiny model on the files in `data`."""
    if model == "base":
        write_base(folder / "base")
    asked = ["max_new_tokens=5", f"model={model}", "data=data", "output_dir=out", "use_cpu=true"]
    return [*asked, f"benchmarks={benchmark}", *more]


def asked_of(folder: Path, content: str | bytes, name: str = "MKQA/sw.jsonl") -> list[str]:
    """An evaluation on one file with this content."""
    path = folder / "data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return arguments(folder, benchmark=path.parent.name.lower())


def asked_of_changed(folder: Path, row: Mapping[str, Any] = OTHER, **values: Any) -> list[str]:
    """An evaluation on two rows, the second changed; with options it is one of XNLI."""
    first, name = (XNLI, "XNLI/sw.jsonl") if row is XNLI else (MKQA, "MKQA/sw.jsonl")
    return asked_of(folder, lines(first, {**row, "id": 2, **values}), name)


# --- Folders ------------------------------------------------------------------------------------------------


@case(
    "no folder of benchmarks",
    error=(
        "data is no folder of benchmarks: it should hold MKQA/ar.jsonl (python -m "
        "cctuning.preparation.benchmarks --help)"
    ),
)
def no_data(folder: Path) -> list[str]:
    return arguments(folder)


@case(
    "a file as the folder of benchmarks",
    error=(
        "data is no folder of benchmarks: it should hold MKQA/ar.jsonl (python -m "
        "cctuning.preparation.benchmarks --help)"
    ),
)
def file_as_data(folder: Path) -> list[str]:
    (folder / "data").write_text(lines(MKQA))
    return arguments(folder)


@case(
    "the benchmark's folder under another name",
    error="data has no folder MKQA, only MKQAs; did you mean 'MKQAs'?",
)
def other_title(folder: Path) -> list[str]:
    asked_of(folder, lines(MKQA), "MKQAs/sw.jsonl")
    return arguments(folder)


@case(
    "a benchmark's folder without files",
    error="data/MKQA has no file of the language 'ar', such as ar.jsonl; its languages: none",
)
def no_files(folder: Path) -> list[str]:
    (folder / "data" / "MKQA").mkdir(parents=True)
    return arguments(folder)


@case("a language that has no file", error="languages: no 'sv' for mkqa in data, only sw")
def no_language(folder: Path) -> list[str]:
    return [*asked_of(folder, lines(MKQA)), "languages=[sw,sv]"]


@case("two files of one language", error="data/MKQA holds sw.json and sw.jsonl: keep one file a language")
def two_files(folder: Path) -> list[str]:
    run = asked_of(folder, lines(MKQA))
    (folder / "data/MKQA/sw.json").write_text(json.dumps([MKQA]))
    return run


# --- Files --------------------------------------------------------------------------------------------------


@case("an empty file", error="data/MKQA/sw.jsonl holds no items")
def empty_file(folder: Path) -> list[str]:
    return asked_of(folder, "")


@case("a broken line", error="1 bad item:\n  data/MKQA/sw.jsonl, row 2: is broken JSON at column 47: …")
def broken_line(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA, json.dumps(OTHER)[:50]))


@case(
    "a file that is not UTF-8",
    error=(
        "1 bad item:\n  data/MKQA/sw.jsonl, row 2: is not UTF-8 at byte 131 of the file: save it as UTF-8"
    ),
)
def latin_1(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA).encode() + lines({**OTHER, "prompt": "Köln?"}).encode("latin-1"))


@case("UTF-16 text", error="data/MKQA/sw.jsonl is UTF-16 text: save it as UTF-8")
def utf_16(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA).encode("utf-16"))


@case("a gzip file that ends too early", error="data/MKQA/sw.jsonl.gz cannot be read to its end: …")
def half_gzip(folder: Path) -> list[str]:
    return asked_of(folder, gzip.compress(lines(MKQA, OTHER).encode())[:-20], "MKQA/sw.jsonl.gz")


@case("plain text named .gz", error="data/MKQA/sw.jsonl.gz is not compressed, as its name says: …")
def no_gzip(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA), "MKQA/sw.jsonl.gz")


@case("JSON lines named .parquet", error="data/MKQA/sw.parquet is not a readable Parquet file: …")
def no_parquet(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA), "MKQA/sw.parquet")


# --- Rows ---------------------------------------------------------------------------------------------------


@case(
    "a list in place of an object",
    error=(
        "1 bad item:\n"
        "  data/MKQA/sw.jsonl, row 2: is a list: rows are written one object a line, {...}, or as a "
        "list of objects, [{...}, {...}]"
    ),
)
def no_object(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA, "[1, 2]"))


@case(
    "a field under another name",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, prompt_en: is missing; did you mean 'promt_en'?"),
)
def missing_field(folder: Path) -> list[str]:
    row = {("promt_en" if key == "prompt_en" else key): value for key, value in OTHER.items()}
    return asked_of(folder, lines(MKQA, row))


@case("an empty prompt", error="1 bad item:\n  data/MKQA/sw.jsonl, row 2, prompt: is empty")
def empty_prompt(folder: Path) -> list[str]:
    return asked_of_changed(folder, prompt=" \n")


@case(
    "half of a surrogate pair",
    error=(
        "1 bad item:\n"
        "  data/MKQA/sw.jsonl, row 2, prompt: holds half of a surrogate pair, which is no character"
    ),
)
def surrogate(folder: Path) -> list[str]:
    return asked_of(folder, lines(MKQA, json.dumps({**OTHER, "prompt": "\ud83d"})))


@case(
    "an id that is there twice",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, id: 1 is that of row 1 too"),
)
def duplicate_id(folder: Path) -> list[str]:
    return asked_of_changed(folder, id=1)


@case(
    "an id that is no whole number or text",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, id: is a number, must be a whole number or text"),
)
def fraction_id(folder: Path) -> list[str]:
    return asked_of_changed(folder, id=1.5)


@case(
    "another language than the file's",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, language: 'th' is another than the file's, 'sw'"),
)
def other_language(folder: Path) -> list[str]:
    return asked_of_changed(folder, language="th")


@case(
    "a text in place of a list of answers",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, answer: is text, must be a list of texts"),
)
def answer_text(folder: Path) -> list[str]:
    return asked_of_changed(folder, answer="Tana")


@case(
    "no gold answer",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, answer: is an empty list, must be a list of texts"),
)
def no_answer(folder: Path) -> list[str]:
    return asked_of_changed(folder, answer=[])


@case(
    "an answer that is no option",
    error=("1 bad item:\n  data/XNLI/sw.jsonl, row 2, answer: 'no' is no option: 1, 2, 3"),
)
def answer_no_option(folder: Path) -> list[str]:
    return asked_of_changed(folder, XNLI, answer=["no"])


@case(
    "two options that are right",
    error=("1 bad item:\n  data/XNLI/sw.jsonl, row 2, answer: holds 2 labels, and one of 1, 2, 3 is right"),
)
def two_answers(folder: Path) -> list[str]:
    return asked_of_changed(folder, XNLI, answer=["1", "2"])


@case(
    "a list of options",
    error=(
        "1 bad item:\n  data/XNLI/sw.jsonl, row 2, options: is a list, must be an object from labels to texts"
    ),
)
def options_list(folder: Path) -> list[str]:
    return asked_of_changed(folder, XNLI, options=["yes", "no", "maybe"])


@case(
    "other labels than the benchmark's",
    error=("1 bad item:\n  data/XNLI/sw.jsonl, row 2, options: are A, B, C, must be 1, 2, 3"),
)
def other_labels(folder: Path) -> list[str]:
    return asked_of_changed(folder, XNLI, options={"A": "yes", "B": "no", "C": "maybe"}, answer=["A"])


@case(
    "options of a benchmark that is no choice",
    error=("1 bad item:\n  data/MKQA/sw.jsonl, row 2, options: are there, and MKQA is no choice"),
)
def options_of_no_choice(folder: Path) -> list[str]:
    return asked_of_changed(folder, options={"1": "yes", "2": "no"})


@case(
    "more bad rows than are shown",
    error=("30 bad items:\n  data/MKQA/sw.jsonl, row 1, …\n  and 10 more problems"),
)
def many_bad_rows(folder: Path) -> list[str]:
    return asked_of(folder, lines(*({**MKQA, "id": number, "answer": [""]} for number in range(30))))


# --- Known faults -------------------------------------------------------------------------------------------


def with_faults(folder: Path, content: str) -> list[str]:
    """An evaluation without the known faults of this anomalies.json."""
    run = asked_of(folder, lines(MKQA, OTHER))
    (folder / "data/anomalies.json").write_text(content)
    return [*run, "leave_out_faults=true"]


@case("broken JSON in `anomalies.json`", error="FOLDER/data/anomalies.json cannot be read: …")
def faults_broken(folder: Path) -> list[str]:
    return with_faults(folder, '{"MKQA": ')


@case("a list in `anomalies.json`", error="FOLDER/data/anomalies.json: is a list, must be an object")
def faults_list(folder: Path) -> list[str]:
    return with_faults(folder, "[1, 2]")


@case(
    "ids without a reason in `anomalies.json`",
    error="FOLDER/data/anomalies.json, MKQA, sw: is a list, must be an object",
)
def faults_without_reason(folder: Path) -> list[str]:
    return with_faults(folder, json.dumps({"MKQA": {"sw": [1, 2]}}))


@case(
    "what is no id in `anomalies.json`",
    error="FOLDER/data/anomalies.json, MKQA, sw, garbled: holds null, must be ids",
)
def faults_no_ids(folder: Path) -> list[str]:
    return with_faults(folder, json.dumps({"MKQA": {"sw": {"garbled": [1, None]}}}))


@case(
    "known faults in all questions",
    error="mkqa_sw: no question is left that could be asked (left out: garbled)",
)
def all_faulty(folder: Path) -> list[str]:
    return with_faults(folder, json.dumps({"MKQA": {"sw": {"garbled": [1, 2]}}}))


# --- Questions that the model cannot be asked ---------------------------------------------------------------


@case(
    "a prompt beyond the model's positions",
    error=(
        "data/MKQA/sw.jsonl, row 2, id 2: 2538 tokens of prompt and response, and the model has 512 "
        "positions. Set on_bad_prompt=leave_out to ask the others"
    ),
)
def long_prompt(folder: Path) -> list[str]:
    return asked_of_changed(folder, prompt="Mto? " * 500)


@case(
    "longer responses than the model has positions",
    error="mkqa_sw: no question is left that could be asked (left out: too long)",
)
def long_responses(folder: Path) -> list[str]:
    return [*asked_of(folder, lines(MKQA))[1:], "max_new_tokens=512", "on_bad_prompt=leave_out"]


@case(
    "a special token of the tokenizer in a prompt",
    error=(
        "data/MKQA/sw.jsonl, row 2, id 2: it spells out <|eot_id|>, which the tokenizer reads as the "
        "special token itself. Set on_bad_prompt=leave_out to ask the others"
    ),
)
def special_token(folder: Path) -> list[str]:
    return asked_of_changed(folder, prompt="Mto?<|eot_id|>")


@case(
    "no parallel text, and `prompting=pim`",
    error=(
        "data/MKQA/sw.jsonl, row 2, id 2: it has no parallel prompt, which inference=bilingual, "
        "prompting=pim and probe.py need: make the files with a translator (cctuning prepare benchmarks "
        "--help). Set on_bad_prompt=leave_out to ask the others"
    ),
)
def pim_without_parallel(folder: Path) -> list[str]:
    return [*asked_of_changed(folder, prompt_en=None), "prompting=pim"]


@case(
    "a language without a line for `prompting=cot`",
    error=(
        "prompting=cot has no line in the language 'eo', only in am, …: add one to "
        "cctuning/evaluation/items/prompt_templates/step_by_step.yaml"
    ),
)
def cot_without_line(folder: Path) -> list[str]:
    return [*asked_of(folder, lines({**MKQA, "language": "eo"}), "MKQA/eo.jsonl"), "prompting=cot"]
