"""Data sets that cannot be trained on."""

from __future__ import annotations

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

from tests.hostile.cases import Group
from tests.scripts import write_base, write_rows

CASES = Group("Data sets")

ROW = {"id": "1", "language": "sw", "instruction": "Mji?", "instruction_en": "City?", "output": "Nairobi."}
OTHER = {**ROW, "id": "2", "instruction": "Mto?", "instruction_en": "River?", "output": "Tana."}
REPAIR = "Repair them, or set on_bad_row=skip to train without them (a rejects file will list them)"


def arguments(folder: Path, data: str = "rows.jsonl", *more: str) -> list[str]:
    """Of a run that would train a tiny model on `data`."""
    write_base(folder / "base")
    run = ["model_name_or_path=base", f"data={data}", "use_cpu=true", "bf16=false"]
    return [*run, "max_steps=1", *(more or ["output_dir=out"])]


def bad_rows(*problems: str) -> str:
    """The error for these problems, one a row."""
    head = f"{len(problems)} bad row{'s' * (len(problems) != 1)}:"
    return "\n".join([head, *(f"  {problem}" for problem in problems), REPAIR])


def lines(*rows: Mapping[str, Any] | str) -> str:
    """JSON lines; a string is a line as it is."""
    return "".join(
        (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows
    )


def run_on(folder: Path, content: str | bytes, name: str = "rows.jsonl") -> list[str]:
    """The arguments of a run on one file with this content."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return arguments(folder, name)


def run_on_changed(folder: Path, **values: Any) -> list[str]:
    """The arguments of a run on two rows, the second changed."""
    return run_on(folder, lines(ROW, {**OTHER, **values}))


def parquet(columns: Mapping[str, Sequence[Any] | pyarrow.Array]) -> bytes:
    """A Parquet file's bytes."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns)), buffer)
    return buffer.getvalue()


# --- Encodings ----------------------------------------------------------------------------------------------


@CASES.case("UTF-16 text", error="rows.jsonl is UTF-16 text: save it as UTF-8")
def utf_16(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).encode("utf-16"))


@CASES.case("UTF-16 text without a byte order mark", error="?")
def utf_16_without_mark(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).encode("utf-16-le"))


@CASES.case("UTF-32 text", error="?")
def utf_32(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).encode("utf-32"))


@CASES.case("Latin-1 text", error="?")
def latin_1(folder: Path) -> list[str]:
    return run_on(folder, lines({**ROW, "output": "Zürich"}, {**OTHER, "output": "Köln"}).encode("latin-1"))


@CASES.case("UTF-8 with one line of Latin-1", error="?")
def mixed_encodings(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW).encode() + lines({**OTHER, "output": "Köln"}).encode("latin-1"))


@CASES.case("a JSON list in Latin-1", error="?")
def latin_1_list(folder: Path) -> list[str]:
    rows = json.dumps([{**ROW, "output": "Köln"}], ensure_ascii=False)
    return run_on(folder, rows.encode("latin-1"), "rows.json")


@CASES.case("NUL bytes inside of a line", error="?")
def nul_bytes(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).replace("Tana", "Ta\0na"))


@CASES.case("half of a surrogate pair", error="?")
def surrogate(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, json.dumps({**OTHER, "output": "\ud83d"})))


# --- Values -------------------------------------------------------------------------------------------------


@CASES.case("an output that is null", error="?")
def null(folder: Path) -> list[str]:
    return run_on_changed(folder, output=None)


@CASES.case("a chat in place of a prompt", error="?")
def chat(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction=[{"role": "user", "content": "Mto?"}])


@CASES.case("a list of prompts", error="?")
def prompts(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction_en=["River?", "Stream?"])


@CASES.case("a number as the output", error="?")
def number(folder: Path) -> list[str]:
    return run_on_changed(folder, output=42)


@CASES.case("NaN, as Python writes a missing value", error="?")
def nan(folder: Path) -> list[str]:
    return run_on_changed(folder, language=float("nan"))


@CASES.case("whitespace only", error="?")
def blank(folder: Path) -> list[str]:
    return run_on_changed(folder, output=" \t\n\u3000")


@CASES.case("invisible characters only", error="?")
def invisible(folder: Path) -> list[str]:
    return run_on_changed(folder, output="\u200b\u200e\u00ad\ufe0f\u3164\0")


@CASES.case("a missing translation", error="?")
def untranslated(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, {key: OTHER[key] for key in OTHER if key != "instruction_en"}))


@CASES.case("a language's name in place of its code", error="?")
def language_name(folder: Path) -> list[str]:
    return run_on_changed(folder, language="Swahili")


@CASES.case("an Alpaca row with input", error="?")
def alpaca(folder: Path) -> list[str]:
    return run_on_changed(folder, input="Longer than the Athi.")


@CASES.case("an id that is there twice in one language", error="?")
def duplicate_id(folder: Path) -> list[str]:
    return run_on_changed(folder, id="1")


@CASES.case("a special token of the tokenizer inside of a text", error="?")
def special_token(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction="Mto?<|eot_id|><|start_header_id|>system")


@CASES.case("a response that already ends in the stop token", error="?")
def stop_token(folder: Path) -> list[str]:
    return run_on_changed(folder, output="Tana.</s>")


@CASES.case("a prompt of 10,000 tokens", error="?")
def long_prompt(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction="z " * 5000)


@CASES.case("an English prompt over english_cutoff_len", error="?")
def long_english(folder: Path) -> list[str]:
    return [*run_on_changed(folder, instruction_en="z " * 100), "english_cutoff_len=50"]


@CASES.case("a line of 50 MB", error="?")
def huge_line(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, {**OTHER, "output": "z" * 50_000_000}))


@CASES.case("only bad rows, with on_bad_row=skip", error="?")
def nothing_left(folder: Path) -> list[str]:
    return [*run_on(folder, lines({**ROW, "output": ""}, {**OTHER, "output": None})), "on_bad_row=skip"]


# --- JSON ---------------------------------------------------------------------------------------------------


@CASES.case("a key that is there twice", error="?")
def duplicate_key(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, lines(OTHER).strip().replace("{", '{"output": "Athi.", ', 1)))


@CASES.case("a line that ends too early", error="?")
def truncated_line(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER)[:-20])


@CASES.case("a JSON list that ends too early", error="?")
def truncated_list(folder: Path) -> list[str]:
    return run_on(folder, json.dumps([ROW, OTHER])[:-20], "rows.json")


@CASES.case("100,000 nested lists", error="?")
def deep_line(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, '{"output": ' + "[" * 100_000 + "]" * 100_000 + "}"))


@CASES.case("a JSON list with 100,000 nested lists in it", error="?")
def deep_list(folder: Path) -> list[str]:
    return run_on(folder, "[" * 100_000 + "]" * 100_000, "rows.json")


@CASES.case("a JSON list with a number of 10,000 digits", error="?")
def long_number(folder: Path) -> list[str]:
    return run_on(folder, '[{"id": ' + "9" * 10_000 + "}]", "rows.json")


@CASES.case("strings in place of objects", error="?")
def strings(folder: Path) -> list[str]:
    return run_on(folder, json.dumps(["Mji?", "Mto?"]), "rows.json")


@CASES.case("one object over several lines", error="?")
def pretty(folder: Path) -> list[str]:
    return run_on(folder, json.dumps({"data": [ROW, OTHER]}, indent=2), "rows.json")


@CASES.case("one object with the rows inside", error="?")
def wrapped(folder: Path) -> list[str]:
    return run_on(folder, json.dumps({"version": 1, "data": [ROW, OTHER]}), "rows.json")


@CASES.case("columns of different lengths in place of rows", error="?")
def columns(folder: Path) -> list[str]:
    table = {"instruction": ["Mji?", "Mto?"], "instruction_en": ["City?", "River?"], "output": ["Nairobi."]}
    return run_on(folder, json.dumps(table), "rows.json")


@CASES.case("a column with another name", error="?")
def other_name(folder: Path) -> list[str]:
    rows = [
        {("instructions_en" if key == "instruction_en" else key): row[key] for key in row}
        for row in [ROW, OTHER]
    ]
    return run_on(folder, lines(*rows))


@CASES.case("a renamed column that is nowhere", error="?")
def renamed(folder: Path) -> list[str]:
    return [*run_on(folder, lines(ROW, OTHER)), "columns.language=lang"]


# --- Files of another kind ----------------------------------------------------------------------------------


@CASES.case("an empty file", error="?")
def empty(folder: Path) -> list[str]:
    return run_on(folder, "")


@CASES.case("a file of blank lines", error="?")
def blank_lines(folder: Path) -> list[str]:
    return run_on(folder, "\n \n\t\n")


@CASES.case("an empty JSON list", error="?")
def empty_list(folder: Path) -> list[str]:
    return run_on(folder, "[]", "rows.json")


@CASES.case("a gzip file that ends too early", error="?")
def truncated_gzip(folder: Path) -> list[str]:
    return run_on(folder, gzip.compress(lines(ROW, OTHER).encode())[:-12], "rows.jsonl.gz")


@CASES.case("plain text named .gz", error="?")
def no_gzip(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER), "rows.jsonl.gz")


@CASES.case("a gzip file that is not named .gz", error="?")
def gzip_as_json(folder: Path) -> list[str]:
    return run_on(folder, gzip.compress(lines(ROW, OTHER).encode()))


@CASES.case("a Parquet file named .jsonl", error="?")
def parquet_as_json(folder: Path) -> list[str]:
    return run_on(folder, parquet({"instruction": ["Mji?"], "output": ["Nairobi."]}))


@CASES.case("a zip archive named .jsonl", error="?")
def zip_as_json(folder: Path) -> list[str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("rows.jsonl", lines(ROW))
    return run_on(folder, buffer.getvalue())


@CASES.case("JSON lines named .parquet", error="?")
def json_as_parquet(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER), "rows.parquet")


@CASES.case("a Parquet file that ends too early", error="?")
def truncated_parquet(folder: Path) -> list[str]:
    return run_on(folder, parquet({"instruction": ["Mji?"], "output": ["Nairobi."]})[:-30], "rows.parquet")


@CASES.case("a Parquet file with its middle overwritten", error="?")
def damaged_parquet(folder: Path) -> list[str]:
    content = parquet(
        {name: [f"{name} {i}" for i in range(999)] for name in ("instruction", "instruction_en", "output")}
    )
    return run_on(folder, content[:400] + b"\xff" * 4000 + content[4400:], "rows.parquet")


@CASES.case("Parquet with other columns", error="?")
def other_columns(folder: Path) -> list[str]:
    return run_on(folder, parquet({"inputs": ["Mji?"], "targets": ["Nairobi."]}), "rows.parquet")


@CASES.case("Parquet with structures in place of text", error="?")
def structures(folder: Path) -> list[str]:
    values = {**{name: [value] for name, value in ROW.items()}, "output": [{"text": "Nairobi."}]}
    return run_on(folder, parquet(values), "rows.parquet")


@CASES.case("Parquet with a column of nulls", error="?")
def nulls(folder: Path) -> list[str]:
    values = {**{name: [value] for name, value in ROW.items()}, "instruction_en": pyarrow.nulls(1)}
    return run_on(folder, parquet(values), "rows.parquet")


@CASES.case("Parquet with bytes in place of text", error="?")
def binary_column(folder: Path) -> list[str]:
    values = {**{name: [value] for name, value in ROW.items()}, "output": [b"Nairobi."]}
    return run_on(folder, parquet(values), "rows.parquet")


@CASES.case("Parquet with text that is not UTF-8", error="?")
def parquet_latin_1(folder: Path) -> list[str]:
    raw = pyarrow.array([b"Nairobi.", b"K\xf6ln"])
    values: dict[str, Any] = {name: [ROW[name], OTHER[name]] for name in ROW}
    text = pyarrow.Array.from_buffers(pyarrow.string(), 2, raw.buffers())
    return run_on(folder, parquet({**values, "output": text}), "rows.parquet")


@CASES.case("Parquet with two columns of one name", error="?")
def twin_columns(folder: Path) -> list[str]:
    table = pyarrow.table(
        [["Mji?"], ["City?"], ["Nairobi."], ["Mombasa."]],
        ["instruction", "instruction_en", "output", "output"],
    )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return run_on(folder, buffer.getvalue(), "rows.parquet")


@CASES.case("a CSV file", error="?")
def csv(folder: Path) -> list[str]:
    return run_on(folder, "instruction,instruction_en,output\nMji?,City?,Nairobi.\n", "rows.csv")


@CASES.case("a CSV file named .jsonl", error="?")
def csv_as_json(folder: Path) -> list[str]:
    return run_on(folder, "instruction,instruction_en,output\nMji?,City?,Nairobi.\n")


# --- Names --------------------------------------------------------------------------------------------------


@CASES.case("a misspelt file", error="?")
def misspelt(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, "row.jsonl")


@CASES.case("a folder without rows", error="?")
def empty_folder(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    return arguments(folder, "rows")


@CASES.case("a folder with another split only", error="?")
def other_split(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    write_rows(folder / "rows" / "test.jsonl")
    return arguments(folder, "rows")


@CASES.case("an empty folder named rows.jsonl", error="?")
def folder_as_file(folder: Path) -> list[str]:
    (folder / "rows.jsonl").mkdir()
    return arguments(folder)


@CASES.case("a link to nowhere", error="?")
def broken_link(folder: Path) -> list[str]:
    (folder / "rows.jsonl").symlink_to("gone.jsonl")
    return arguments(folder)


@CASES.case("a link to itself", error="?")
def link_to_itself(folder: Path) -> list[str]:
    (folder / "rows.jsonl").symlink_to("rows.jsonl")
    return arguments(folder)


@CASES.case("a named pipe", error="?")
def pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "rows.jsonl")
    return arguments(folder)


@CASES.case("a named pipe in a folder", error="?")
def pipe_in_folder(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    os.mkfifo(folder / "rows" / "a.jsonl")
    return arguments(folder, "rows")


@CASES.case("a glob that nothing matches", error="?")
def glob(folder: Path) -> list[str]:
    return arguments(folder, "rows/*.jsonl")


@CASES.case("an empty name", error="?")
def empty_name(folder: Path) -> list[str]:
    return arguments(folder, "")


@CASES.case("a file that is named twice", error="?")
def twice(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, "[rows.jsonl,./rows.jsonl]")


@CASES.case("the same file under two names", error="?")
def two_names(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, f"[rows.jsonl,{folder}/rows.jsonl]")


@CASES.case("a hub data set without a network", error="?")
def hub(folder: Path) -> list[str]:
    return arguments(folder, "some/data")


@CASES.case("a data set's repository with a script in it", error="?")
def script(folder: Path) -> list[str]:
    (folder / "mine").mkdir()
    (folder / "mine" / "mine.py").write_text("open('ran', 'w').close()\n")
    return arguments(folder, "mine:default")


@CASES.case("a saved data set that names a file outside of its folder", error="?")
def saved_outside(folder: Path) -> list[str]:
    saved(folder, "rows")
    (folder / "rows" / "data-00000-of-00001.arrow").rename(folder / "other.arrow")
    state = json.loads((folder / "rows" / "state.json").read_text())
    state["_data_files"] = [{"filename": "../other.arrow"}]
    (folder / "rows" / "state.json").write_text(json.dumps(state))
    return arguments(folder, "rows")


@CASES.case("a saved data set whose state.json is broken", error="?")
def saved_broken(folder: Path) -> list[str]:
    saved(folder, "rows")
    (folder / "rows" / "state.json").write_text("{")
    return arguments(folder, "rows")


@CASES.case("a saved data set whose Arrow file ends too early", error="?")
def saved_truncated(folder: Path) -> list[str]:
    saved(folder, "rows")
    path = folder / "rows" / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:-200])
    return arguments(folder, "rows")


@CASES.case("saved splits that are named outside of their folder", error="?")
def saved_split_outside(folder: Path) -> list[str]:
    saved(folder, "train")
    (folder / "rows").mkdir()
    (folder / "rows" / "dataset_dict.json").write_text(json.dumps({"splits": ["../train"]}))
    return [*arguments(folder, "rows"), "data_split=../train"]


def saved(folder: Path, name: str) -> None:
    """Two rows as `datasets` saves them."""
    from datasets import Dataset

    Dataset.from_list([ROW, OTHER]).save_to_disk(folder / name)


@CASES.case("the output folder inside of the data's", error="?")
def output_in_data(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    write_rows(folder / "rows" / "a.jsonl")
    return [*arguments(folder, "rows")[:-1], "output_dir=rows/out"]
