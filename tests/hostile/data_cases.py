"""Data sets that cannot be trained on."""

import gzip
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from tests.hostile.cases import Table
from tests.scripts import write_base, write_rows

TABLE = Table("train")
row = TABLE.row

ROW = {"id": "1", "language": "sw", "instruction": "Mji?", "instruction_en": "City?", "output": "Nairobi."}
OTHER = {**ROW, "id": "2", "instruction": "Mto?", "instruction_en": "River?", "output": "Tana."}


def arguments(folder: Path, data: str = "rows.jsonl", *more: str) -> list[str]:
    """Of a run that would train a tiny model on `data`."""
    write_base(folder / "base")
    run = ["model_name_or_path=base", f"data={data}", "use_cpu=true", "bf16=false"]
    return [*run, "max_steps=1", *(more or ["output_dir=out"])]


def lines(*rows: Mapping[str, Any] | str) -> str:
    """JSON lines; a string is a line as it is."""
    return "".join(
        (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows
    )


def run_on(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> list[str]:
    """The arguments of a run on one file with this content."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return arguments(folder, name)


def changed(folder: Path, **values: Any) -> list[str]:
    """The arguments of a run on two rows, the second changed."""
    return run_on(folder, lines(ROW, {**OTHER, **values}))


def parquet(columns: Mapping[str, Sequence[Any] | pyarrow.Array] | pyarrow.Table) -> bytes:
    """A Parquet file's bytes."""
    buffer = io.BytesIO()
    table = columns if isinstance(columns, pyarrow.Table) else pyarrow.table(dict(columns))
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def columns_of(**values: Any) -> bytes:
    """A Parquet file with one good row, some of its columns changed."""
    return parquet({**{name: [value] for name, value in ROW.items()}, **values})


GOOD = lines(ROW, OTHER)
SHORT = parquet({"instruction": ["Mji?"], "output": ["Nairobi."]})

# --- Options of the connection without rows to compare ------------------------------------------------------


def compared(folder: Path, *settings: str) -> list[str]:
    """The arguments of a run with an option that compares a row's two prompts: of rows with one in all."""
    english = [{**each, "language": "en", "instruction": each["instruction_en"]} for each in (ROW, OTHER)]
    return [*run_on(folder, lines(*english, {**ROW, "id": "3"})), *settings]


NOTHING_TO_COMPARE = "needs rows in other languages than English … rows.jsonl has 1"
row(
    "an alignment of rows in English",
    f"connection.alignment {NOTHING_TO_COMPARE}",
    compared,
    *("connection.alignment=0.1", "connection.centred=true"),
)
row(
    "a monolingual share of rows in English, before a run of them",
    f"connection.monolingual_share {NOTHING_TO_COMPARE}",
    compared,
    *("connection.monolingual_share=0.5", "dry_run=true"),
)


@TABLE.case("connection.centred … rows.jsonl has no two that differ")
def a_single_English_prompt_centred(folder: Path) -> list[str]:
    return [*run_on(folder, lines(ROW, {**ROW, "id": "2", "language": "tr"})), "connection.centred=true"]


# --- Encodings ----------------------------------------------------------------------------------------------

row("UTF-16 without a byte order mark", "rows.jsonl … UTF-8 … UTF-16", run_on, GOOD.encode("utf-16-le"))
row("UTF-32", "rows.jsonl … UTF-32 … save it as UTF-8", run_on, GOOD.encode("utf-32"))
row("NUL bytes in a line", "rows.jsonl, row 2: … JSON … column 95", run_on, GOOD.replace("Tana", "Ta\0na"))

# --- Values -------------------------------------------------------------------------------------------------

row(
    "a special token in a text",
    "rows.jsonl, row 2, instruction: … '<|eot_id|>' … special token",
    changed,
    instruction="Mto?<|eot_id|><|start_header_id|>system",
)
row(
    "a stop token in a response",
    "rows.jsonl, row 2, output: … '</s>' … special token",
    changed,
    output="Tana.</s>",
)
row(
    "a prompt of 10,000 tokens",
    "rows.jsonl, row 2, instruction: … 10032 tokens … cutoff_len=1024",
    changed,
    instruction="z " * 5000,
)
row(
    "an English prompt over its length",
    "rows.jsonl, row 2, instruction_en: … 232 tokens … english_cutoff_len=50",
    lambda folder: [*changed(folder, instruction_en="z " * 100), "english_cutoff_len=50"],
)

# --- JSON ---------------------------------------------------------------------------------------------------

row(
    "100,000 nested lists in a list",
    "rows.json … JSON … cannot be read",
    run_on,
    "[" * 100_000 + "]" * 100_000,
    "rows.json",
)
row(
    "a number of 10,000 digits",
    "rows.json … JSON … cannot be read",
    run_on,
    '[{"id": ' + "9" * 10_000 + "}]",
    "rows.json",
)
row(
    "strings in place of objects",
    "2 bad rows … rows.json, row 1: … text … object … rows.json, row 2: … text … object",
    run_on,
    json.dumps(["Mji?", "Mto?"]),
    "rows.json",
)
row(
    "one object over several lines",
    "rows.json … one object … one object a line",
    run_on,
    json.dumps({"data": [ROW, OTHER]}, indent=2),
    "rows.json",
)
row(
    "one object with the rows inside",
    "rows.json … inside of 'data' … one object a line",
    run_on,
    json.dumps({"version": 1, "data": [ROW, OTHER]}),
    "rows.json",
)
row(
    "columns of different lengths",
    "rows.json … list for each column … one object a line",
    run_on,
    json.dumps(
        {"instruction": ["Mji?", "Mto?"], "instruction_en": ["City?", "River?"], "output": ["Nairobi."]}
    ),
    "rows.json",
)

# --- Files of another kind ----------------------------------------------------------------------------------

row("blank lines", "rows.jsonl: … no rows", run_on, "\n \n\t\n")
row("an empty list", "rows.json: … no rows", run_on, "[]", "rows.json")
row("gzip not named .gz", "rows.jsonl … compressed … .jsonl.gz", run_on, gzip.compress(GOOD.encode()))
row("Parquet named .jsonl", "rows.jsonl … Parquet … .parquet", run_on, SHORT)
row(
    "Parquet with other columns",
    "rows.parquet … no column 'instruction' … inputs, targets … columns.instruction=NAME",
    run_on,
    parquet({"inputs": ["Mji?"], "targets": ["Nairobi."]}),
    "rows.parquet",
)
row(
    "Parquet with structures for text",
    "rows.parquet, row 1, output: … object … text",
    run_on,
    columns_of(output=[{"text": "Nairobi."}]),
    "rows.parquet",
)
row(
    "Parquet with a column of nulls",
    "rows.parquet, row 1, instruction_en: … null",
    run_on,
    columns_of(instruction_en=pyarrow.nulls(1)),
    "rows.parquet",
)
row(
    "Parquet with bytes for text",
    "rows.parquet, row 1, output: … bytes … text",
    run_on,
    columns_of(output=[b"Nairobi."]),
    "rows.parquet",
)
row(
    "Parquet with a column twice",
    "rows.parquet … two columns … 'output'",
    run_on,
    parquet(
        pyarrow.table(
            [["Mji?"], ["City?"], ["Nairobi."], ["Mombasa."]],
            ["instruction", "instruction_en", "output", "output"],
        )
    ),
    "rows.parquet",
)
row(
    "CSV named .jsonl",
    "2 bad rows … rows.jsonl, row 1: … JSON … column 1: … rows.jsonl, row 2: … JSON … column 1:",
    run_on,
    "instruction,instruction_en,output\nMji?,City?,Nairobi.\n",
)


@TABLE.case("rows.jsonl … zip")
def zip_named_jsonl(folder: Path) -> list[str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("rows.jsonl", lines(ROW))
    return run_on(folder, buffer.getvalue())


@TABLE.case("rows.parquet … Parquet")
def parquet_with_its_middle_overwritten(folder: Path) -> list[str]:
    content = parquet(
        {name: [f"{name} {i}" for i in range(999)] for name in ("instruction", "instruction_en", "output")}
    )
    return run_on(folder, content[:400] + b"\xff" * 4000 + content[4400:], "rows.parquet")


@TABLE.case("rows.parquet, row 2: … cannot be read")
def parquet_with_latin_1(folder: Path) -> list[str]:
    raw = pyarrow.array([b"Nairobi.", b"K\xf6ln"])
    values: dict[str, Any] = {name: [ROW[name], OTHER[name]] for name in ROW}
    text = pyarrow.Array.from_buffers(pyarrow.string(), 2, raw.buffers())
    return run_on(folder, parquet({**values, "output": text}), "rows.parquet")


# --- Names --------------------------------------------------------------------------------------------------


def named(folder: Path, data: str = "rows.jsonl", *, makes: Any = None) -> list[str]:
    """A run on data of this name, once `makes(folder)` has put there what is there."""
    if makes:
        makes(folder)
    return arguments(folder, data)


def one_file(folder: Path) -> None:
    (folder / "rows.jsonl").write_text(lines(ROW))


def a_folder(folder: Path) -> None:
    (folder / "rows").mkdir()


SUFFIXES = ".jsonl, .jsonl.gz, .json, .json.gz, .parquet"
row(
    "a folder with the name of a file",
    f"rows.jsonl holds no {SUFFIXES}",
    named,
    makes=lambda folder: (folder / "rows.jsonl").mkdir(),
)
row(
    "a link to nowhere",
    "rows.jsonl … link … gone.jsonl … nowhere",
    named,
    makes=lambda folder: (folder / "rows.jsonl").symlink_to("gone.jsonl"),
)
row(
    "a link to itself",
    "rows.jsonl … link … rows.jsonl … nowhere",
    named,
    makes=lambda folder: (folder / "rows.jsonl").symlink_to("rows.jsonl"),
)
row(
    "a named pipe",
    "rows.jsonl … neither a file nor a folder",
    named,
    makes=lambda folder: os.mkfifo(folder / "rows.jsonl"),
)
row("an empty name", "empty name in data … data=[rows.jsonl]", named, "[rows.jsonl,'']", makes=one_file)


@TABLE.case("rows/a.jsonl … neither a file nor a folder")
def a_named_pipe_in_a_folder(folder: Path) -> list[str]:
    a_folder(folder)
    os.mkfifo(folder / "rows" / "a.jsonl")
    return arguments(folder, "rows")


@TABLE.case("rows.jsonl … twice … data=")
def a_file_under_two_names(folder: Path) -> list[str]:
    one_file(folder)
    return arguments(folder, f"[rows.jsonl,{folder}/rows.jsonl]")


@TABLE.case("mine:default … no local file … hub")
def a_repository_with_a_script(folder: Path) -> list[str]:
    (folder / "mine").mkdir()
    (folder / "mine" / "mine.py").write_text("open('ran', 'w').close()\n")
    return arguments(folder, "mine:default")


def saved(folder: Path, name: str) -> Path:
    """Two rows as `datasets` saves them."""
    from datasets import Dataset

    Dataset.from_list([ROW, OTHER]).save_to_disk(folder / name)
    return folder / name


@TABLE.case("rows/data-00000-of-00001.arrow … Arrow")
def a_saved_data_set_cut_short(folder: Path) -> list[str]:
    path = saved(folder, "rows") / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:-200])
    return arguments(folder, "rows")


@TABLE.case("rows … '../train' … no plain name")
def saved_splits_outside_of_their_folder(folder: Path) -> list[str]:
    saved(folder, "train")
    a_folder(folder)
    (folder / "rows" / "dataset_dict.json").write_text(json.dumps({"splits": ["../train"]}))
    return [*arguments(folder, "rows"), "data_split=../train"]


@TABLE.case("output_dir= … rows/out … rows … choose another output_dir")
def output_in_the_folder_of_the_data(folder: Path) -> list[str]:
    a_folder(folder)
    write_rows(folder / "rows" / "a.jsonl")
    return [*arguments(folder, "rows")[:-1], "output_dir=rows/out"]
