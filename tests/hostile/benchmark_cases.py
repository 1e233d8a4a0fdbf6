"""Benchmark files that cannot be asked, and known issues that cannot be read."""

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


@TABLE.case("data/MKQA … 'ar' … ar.jsonl … none")
def a_folder_without_files(folder: Path) -> list[str]:
    (folder / "data" / "MKQA").mkdir(parents=True)
    return arguments(folder)


# --- Files --------------------------------------------------------------------------------------------------

row(
    "a file that is not UTF-8",
    "1 bad item … data/MKQA/sw.jsonl, row 2: … UTF-8 … byte 131",
    file,
    lines(MKQA).encode() + lines({**OTHER, "prompt": "Köln?"}).encode("latin-1"),
)

# --- Rows ---------------------------------------------------------------------------------------------------

SECOND = "data/MKQA/sw.jsonl, row 2"


# --- Known issues -------------------------------------------------------------------------------------------


def issues(folder: Path, content: str) -> list[str]:
    """An evaluation without the known issues of this anomalies.json."""
    words = file(folder, lines(MKQA, OTHER))
    (folder / "data/anomalies.json").write_text(content)
    return [*words, "leave_out_faults=true"]


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
