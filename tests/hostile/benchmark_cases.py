"""Benchmark files that cannot be asked, and known issues that cannot be read."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.hostile.cases import Table
from tests.hostile.data_cases import lines
from tests.scripts import write_base

TABLE = Table("evaluate")
row = TABLE.row

MKQA = {"id": 1, "language": "sw", "prompt": "Mji?", "prompt_en": "City?", "answer": ["Nairobi"]}
OTHER = {**MKQA, "id": 2, "prompt": "Mto?", "prompt_en": "River?", "answer": ["Tana"]}
XNLI = {**MKQA, "answer": ["2"], "options": {"1": "yes", "2": "no", "3": "maybe"}}


def arguments(folder: Path, *more: str, benchmark: str = "mkqa", model: str = "base") -> list[str]:
    """Of an evaluation of a tiny model on the files in `data`."""
    if model == "base":
        write_base(folder / "base")
    asked = ["max_new_tokens=5", f"model={model}", "data=data", "output_dir=out", "use_cpu=true"]
    return [*asked, f"benchmarks={benchmark}", *more]


def file(folder: Path, content: str | bytes, *more: str, name: str = "MKQA/sw.jsonl") -> list[str]:
    """An evaluation on one file with this content."""
    path = folder / "data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return arguments(folder, *more, benchmark=path.parent.name.lower())


def changed(folder: Path, *more: str, **values: Any) -> list[str]:
    """An evaluation on two questions of MKQA, the second changed."""
    return file(folder, lines(MKQA, {**OTHER, **values}), *more)


def choice(folder: Path, **values: Any) -> list[str]:
    """An evaluation on two questions of XNLI, the second changed."""
    return file(folder, lines(XNLI, {**XNLI, "id": 2, **values}), name="XNLI/sw.jsonl")


# --- Folders ------------------------------------------------------------------------------------------------

row("no folder of benchmarks", "data … folder of benchmarks … MKQA/ar.jsonl … benchmarks --help", arguments)
row(
    "a language without a file",
    "languages: … 'sv' … mkqa … data … sw",
    file,
    lines(MKQA),
    "languages=[sw,sv]",
)


@TABLE.case("data … folder of benchmarks … MKQA/ar.jsonl … benchmarks --help")
def a_file_as_the_folder_of_benchmarks(folder: Path) -> list[str]:
    (folder / "data").write_text(lines(MKQA))
    return arguments(folder)


@TABLE.case("data … MKQA … did you mean 'MKQAs'")
def a_folder_under_another_name(folder: Path) -> list[str]:
    (folder / "data/MKQAs").mkdir(parents=True)
    (folder / "data/MKQAs/sw.jsonl").write_text(lines(MKQA))
    return arguments(folder)


@TABLE.case("data/MKQA … 'ar' … ar.jsonl … none")
def a_folder_without_files(folder: Path) -> list[str]:
    (folder / "data" / "MKQA").mkdir(parents=True)
    return arguments(folder)


@TABLE.case("data/MKQA … sw.json and sw.jsonl … one file a language")
def two_files_of_a_language(folder: Path) -> list[str]:
    words = file(folder, lines(MKQA))
    (folder / "data/MKQA/sw.json").write_text(json.dumps([MKQA]))
    return words


# --- Files --------------------------------------------------------------------------------------------------

row("an empty file", "data/MKQA/sw.jsonl … no items", file, "")
row(
    "a broken line",
    "1 bad item … data/MKQA/sw.jsonl, row 2: … JSON … column 47",
    file,
    lines(MKQA, json.dumps(OTHER)[:50]),
)
row(
    "a file that is not UTF-8",
    "1 bad item … data/MKQA/sw.jsonl, row 2: … UTF-8 … byte 131",
    file,
    lines(MKQA).encode() + lines({**OTHER, "prompt": "Köln?"}).encode("latin-1"),
)
row("UTF-16", "data/MKQA/sw.jsonl … UTF-16 … save it as UTF-8", file, lines(MKQA).encode("utf-16"))
row(
    "gzip cut short",
    "data/MKQA/sw.jsonl.gz … cannot be read",
    file,
    gzip.compress(lines(MKQA, OTHER).encode())[:-20],
    name="MKQA/sw.jsonl.gz",
)
row(
    "plain text named .gz",
    "data/MKQA/sw.jsonl.gz … not compressed",
    file,
    lines(MKQA),
    name="MKQA/sw.jsonl.gz",
)
row("JSON lines named .parquet", "data/MKQA/sw.parquet … Parquet", file, lines(MKQA), name="MKQA/sw.parquet")

# --- Rows ---------------------------------------------------------------------------------------------------

SECOND = "data/MKQA/sw.jsonl, row 2"
SECOND_CHOICE = "data/XNLI/sw.jsonl, row 2"

row("a list for an object", f"{SECOND}: … list … one object a line", file, lines(MKQA, "[1, 2]"))
row(
    "a field under another name",
    f"{SECOND}, prompt_en: … missing … did you mean 'promt_en'",
    file,
    lines(MKQA, lines(OTHER).strip().replace("prompt_en", "promt_en")),
)
row("an empty prompt", f"{SECOND}, prompt: … empty", changed, prompt=" \n")
row(
    "half of a surrogate pair",
    f"{SECOND}, prompt: … surrogate",
    file,
    lines(MKQA, json.dumps({**OTHER, "prompt": "\ud83d"})),
)
row("an id twice", f"{SECOND}, id: … 1 … row 1", changed, id=1)
row("a fraction as an id", f"{SECOND}, id: … number … whole number or text", changed, id=1.5)
row("another language than the file's", f"{SECOND}, language: … 'th' … 'sw'", changed, language="th")
row("a text for a list of answers", f"{SECOND}, answer: … text … list of texts", changed, answer="Tana")
row("no gold answer", f"{SECOND}, answer: … empty list", changed, answer=[])
row(
    "an answer that is no option",
    f"{SECOND_CHOICE}, answer: … 'no' … option … 1, 2, 3",
    choice,
    answer=["no"],
)
row("two right options", f"{SECOND_CHOICE}, answer: … 2 labels … one of 1, 2, 3", choice, answer=["1", "2"])
row("a list of options", f"{SECOND_CHOICE}, options: … list … object", choice, options=["yes", "no", "maybe"])
row(
    "other labels than the benchmark's",
    f"{SECOND_CHOICE}, options: … A, B, C … 1, 2, 3",
    choice,
    options={"A": "yes", "B": "no", "C": "maybe"},
    answer=["A"],
)
row(
    "options where there is no choice",
    f"{SECOND}, options: … MKQA … choice",
    changed,
    options={"1": "yes", "2": "no"},
)
row(
    "more bad rows than are shown",
    "30 bad items … data/MKQA/sw.jsonl, row 1, … 10 more",
    file,
    lines(*({**MKQA, "id": number, "answer": [""]} for number in range(30))),
)

# --- Known issues -------------------------------------------------------------------------------------------


def issues(folder: Path, content: str) -> list[str]:
    """An evaluation without the known issues of this anomalies.json."""
    words = file(folder, lines(MKQA, OTHER))
    (folder / "data/anomalies.json").write_text(content)
    return [*words, "leave_out_faults=true"]


row("half an anomalies.json", "data/anomalies.json … cannot be read", issues, '{"MKQA": ')
row("a list as anomalies.json", "data/anomalies.json: … list … object", issues, "[1, 2]")
row(
    "known issues without a reason",
    "data/anomalies.json, MKQA, sw: … list … object",
    issues,
    json.dumps({"MKQA": {"sw": [1, 2]}}),
)
row(
    "known issues of what is no id",
    "data/anomalies.json, MKQA, sw, garbled: … null … ids",
    issues,
    json.dumps({"MKQA": {"sw": {"garbled": [1, None]}}}),
)
row(
    "known issues in all questions",
    "mkqa_sw: no question is left … garbled",
    issues,
    json.dumps({"MKQA": {"sw": {"garbled": [1, 2]}}}),
)

# --- Questions that the model cannot be asked ---------------------------------------------------------------

ROW_AND_ID = f"{SECOND}, id 2"

row(
    "a prompt beyond the model's positions",
    f"{ROW_AND_ID}: 2537 tokens … 512 positions … on_bad_prompt=leave_out",
    changed,
    prompt="Mto? " * 500,
)
row(
    "longer responses than positions",
    "mkqa_sw: no question is left … too long",
    lambda folder: [*file(folder, lines(MKQA))[1:], "max_new_tokens=512", "on_bad_prompt=leave_out"],
)
row(
    "a special token in a prompt",
    f"{ROW_AND_ID}: … <|eot_id|> … special token … on_bad_prompt=leave_out",
    changed,
    prompt="Mto?<|eot_id|>",
)
row(
    "prompting=pim without a parallel text",
    f"{ROW_AND_ID}: … no parallel prompt … prompting=pim … on_bad_prompt=leave_out",
    changed,
    "prompting=pim",
    prompt_en=None,
)
row(
    "a language without a line for prompting=cot",
    "prompting=cot … 'eo' … am, … step_by_step.yaml",
    file,
    lines({**MKQA, "language": "eo"}),
    "prompting=cot",
    name="MKQA/eo.jsonl",
)
