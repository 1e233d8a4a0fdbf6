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

from tests.hostile.cases import ANY, Group
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


@CASES.case(
    "UTF-16 text without a byte order mark",
    error="rows.jsonl is no UTF-8 text (UTF-16 or UTF-32 perhaps): save it as UTF-8",
)
def utf_16_without_mark(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).encode("utf-16-le"))


@CASES.case("UTF-32 text", error="rows.jsonl is UTF-32 text: save it as UTF-8")
def utf_32(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).encode("utf-32"))


@CASES.case(
    "Latin-1 text",
    error=bad_rows(
        "rows.jsonl, row 1: is not UTF-8 at byte 92 of the file: save it as UTF-8",
        "rows.jsonl, row 2: is not UTF-8 at byte 193 of the file: save it as UTF-8",
    ),
)
def latin_1(folder: Path) -> list[str]:
    return run_on(folder, lines({**ROW, "output": "Zürich"}, {**OTHER, "output": "Köln"}).encode("latin-1"))


@CASES.case(
    "UTF-8 with one line of Latin-1",
    error=bad_rows("rows.jsonl, row 2: is not UTF-8 at byte 195 of the file: save it as UTF-8"),
)
def mixed_encodings(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW).encode() + lines({**OTHER, "output": "Köln"}).encode("latin-1"))


@CASES.case("a JSON list in Latin-1", error="rows.json is not UTF-8 at byte 93: save it as UTF-8")
def latin_1_list(folder: Path) -> list[str]:
    rows = json.dumps([{**ROW, "output": "Köln"}], ensure_ascii=False)
    return run_on(folder, rows.encode("latin-1"), "rows.json")


@CASES.case(
    "NUL bytes inside of a line", error=bad_rows(f"rows.jsonl, row 2: is broken JSON at column 95: {ANY}")
)
def nul_bytes(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER).replace("Tana", "Ta\0na"))


@CASES.case(
    "half of a surrogate pair",
    error=bad_rows("rows.jsonl, row 2, output: holds half of a surrogate pair, which is no character"),
)
def surrogate(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, json.dumps({**OTHER, "output": "\ud83d"})))


# --- Values -------------------------------------------------------------------------------------------------


@CASES.case("an output that is null", error=bad_rows("rows.jsonl, row 2, output: is null"))
def null(folder: Path) -> list[str]:
    return run_on_changed(folder, output=None)


@CASES.case(
    "a chat in place of a prompt", error=bad_rows("rows.jsonl, row 2, instruction: is a list, must be text")
)
def chat(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction=[{"role": "user", "content": "Mto?"}])


@CASES.case("a list of prompts", error=bad_rows("rows.jsonl, row 2, instruction_en: is a list, must be text"))
def prompts(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction_en=["River?", "Stream?"])


@CASES.case("a number as the output", error=bad_rows("rows.jsonl, row 2, output: is a number, must be text"))
def number(folder: Path) -> list[str]:
    return run_on_changed(folder, output=42)


@CASES.case(
    "NaN, as Python writes a missing value",
    error=bad_rows(
        "rows.jsonl, row 2, language: is NaN (a missing value that was not written as null), must be text"
    ),
)
def nan(folder: Path) -> list[str]:
    return run_on_changed(folder, language=float("nan"))


@CASES.case("whitespace only", error=bad_rows("rows.jsonl, row 2, output: is empty"))
def blank(folder: Path) -> list[str]:
    return run_on_changed(folder, output=" \t\n\u3000")


@CASES.case("invisible characters only", error=bad_rows("rows.jsonl, row 2, output: is empty"))
def invisible(folder: Path) -> list[str]:
    return run_on_changed(folder, output="\u200b\u200e\u00ad\ufe0f\u3164\0")


@CASES.case(
    "a missing translation",
    error=bad_rows("rows.jsonl, row 2, instruction_en: is missing: the row has no English translation"),
)
def untranslated(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, {key: OTHER[key] for key in OTHER if key != "instruction_en"}))


@CASES.case(
    "a language's name in place of its code",
    error=bad_rows(
        "rows.jsonl, row 2, language: 'Swahili' is no language code (BCP 47, such as de, sw or zh-Hans)"
    ),
)
def language_name(folder: Path) -> list[str]:
    return run_on_changed(folder, language="Swahili")


@CASES.case(
    "an Alpaca row with input",
    error=bad_rows(
        "rows.jsonl, row 2, input: is not empty, and would be left out: append it to the "
        "instruction, and its English to instruction_en"
    ),
)
def alpaca(folder: Path) -> list[str]:
    return run_on_changed(folder, input="Longer than the Athi.")


@CASES.case(
    "an id that is there twice in one language",
    error=bad_rows("rows.jsonl, row 2, id: '1' in language 'sw' is also the id of rows.jsonl, row 1"),
)
def duplicate_id(folder: Path) -> list[str]:
    return run_on_changed(folder, id="1")


@CASES.case(
    "a special token of the tokenizer inside of a text",
    error=bad_rows(
        "rows.jsonl, row 2, instruction: holds '<|eot_id|>', which the tokenizer takes for a "
        "special token and not for text: take it out"
    ),
)
def special_token(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction="Mto?<|eot_id|><|start_header_id|>system")


@CASES.case(
    "a response that already ends in the stop token",
    error=bad_rows(
        "rows.jsonl, row 2, output: holds '</s>', which the tokenizer takes for a special "
        "token and not for text: take it out"
    ),
)
def stop_token(folder: Path) -> list[str]:
    return run_on_changed(folder, output="Tana.</s>")


@CASES.case(
    "a prompt of 10,000 tokens",
    error=bad_rows(
        "rows.jsonl, row 2, instruction: the prompt has 10033 tokens, and cutoff_len=1024 "
        "leaves no response; raise cutoff_len"
    ),
)
def long_prompt(folder: Path) -> list[str]:
    return run_on_changed(folder, instruction="z " * 5000)


@CASES.case(
    "an English prompt over english_cutoff_len",
    error=bad_rows(
        "rows.jsonl, row 2, instruction_en: the English prompt has 233 tokens, over "
        "english_cutoff_len=50; raise english_cutoff_len"
    ),
)
def long_english(folder: Path) -> list[str]:
    return [*run_on_changed(folder, instruction_en="z " * 100), "english_cutoff_len=50"]


@CASES.case(
    "a line of 50 MB",
    error=bad_rows(
        "rows.jsonl, row 2: is a line of 50,000,095 bytes, and the longest that is read has 33,554,432"
    ),
)
def huge_line(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, {**OTHER, "output": "z" * 50_000_000}))


@CASES.case(
    "only bad rows, with on_bad_row=skip",
    error="nothing is left to learn in rows.jsonl; the first problem: rows.jsonl, row 1, output: is empty",
)
def nothing_left(folder: Path) -> list[str]:
    return [*run_on(folder, lines({**ROW, "output": ""}, {**OTHER, "output": None})), "on_bad_row=skip"]


# --- JSON ---------------------------------------------------------------------------------------------------


@CASES.case("a key that is there twice", error=bad_rows("rows.jsonl, row 2: has the key 'output' twice"))
def duplicate_key(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, lines(OTHER).strip().replace("{", '{"output": "Athi.", ', 1)))


@CASES.case(
    "a line that ends too early", error=bad_rows(f"rows.jsonl, row 2: is broken JSON at column 81: {ANY}")
)
def truncated_line(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER)[:-20])


@CASES.case("a JSON list that ends too early", error=f"rows.json is broken JSON at line 1, column 185: {ANY}")
def truncated_list(folder: Path) -> list[str]:
    return run_on(folder, json.dumps([ROW, OTHER])[:-20], "rows.json")


@CASES.case("100,000 nested lists", error=bad_rows(f"rows.jsonl, row 2: is JSON that cannot be read: {ANY}"))
def deep_line(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, '{"output": ' + "[" * 100_000 + "]" * 100_000 + "}"))


@CASES.case(
    "a JSON list with 100,000 nested lists in it", error=f"rows.json is JSON that cannot be read: {ANY}"
)
def deep_list(folder: Path) -> list[str]:
    return run_on(folder, "[" * 100_000 + "]" * 100_000, "rows.json")


@CASES.case(
    "a JSON list with a number of 10,000 digits", error=f"rows.json is JSON that cannot be read: {ANY}"
)
def long_number(folder: Path) -> list[str]:
    return run_on(folder, '[{"id": ' + "9" * 10_000 + "}]", "rows.json")


@CASES.case(
    "strings in place of objects",
    error=bad_rows(
        "rows.json, row 1: is text, must be an object with instruction, instruction_en, output",
        "rows.json, row 2: is text, must be an object with instruction, instruction_en, output",
    ),
)
def strings(folder: Path) -> list[str]:
    return run_on(folder, json.dumps(["Mji?", "Mto?"]), "rows.json")


@CASES.case(
    "one object over several lines",
    error=(
        "rows.json holds one object over several lines: rows are written one object a line, "
        "{...}, or as a list of objects, [{...}, {...}]"
    ),
)
def pretty(folder: Path) -> list[str]:
    return run_on(folder, json.dumps({"data": [ROW, OTHER]}, indent=2), "rows.json")


@CASES.case(
    "one object with the rows inside",
    error=(
        "rows.json is one object with rows inside of 'data': rows are written one object a "
        "line, {...}, or as a list of objects, [{...}, {...}]"
    ),
)
def wrapped(folder: Path) -> list[str]:
    return run_on(folder, json.dumps({"version": 1, "data": [ROW, OTHER]}), "rows.json")


@CASES.case(
    "columns of different lengths in place of rows",
    error=(
        "rows.json is one object with a list for each column: rows are written one object a "
        "line, {...}, or as a list of objects, [{...}, {...}]"
    ),
)
def columns(folder: Path) -> list[str]:
    table = {"instruction": ["Mji?", "Mto?"], "instruction_en": ["City?", "River?"], "output": ["Nairobi."]}
    return run_on(folder, json.dumps(table), "rows.json")


@CASES.case(
    "a column with another name",
    error=(
        "rows.jsonl has no column 'instruction_en'; did you mean 'instructions_en'?\n"
        "columns: id, instruction, instructions_en, language, output; name the right one with"
        " columns.instruction_en=NAME"
    ),
)
def other_name(folder: Path) -> list[str]:
    rows = [
        {("instructions_en" if key == "instruction_en" else key): row[key] for key in row}
        for row in [ROW, OTHER]
    ]
    return run_on(folder, lines(*rows))


@CASES.case(
    "a renamed column that is nowhere",
    error="columns.language='lang': no source has this column; did you mean 'language'?",
)
def renamed(folder: Path) -> list[str]:
    return [*run_on(folder, lines(ROW, OTHER)), "columns.language=lang"]


# --- Files of another kind ----------------------------------------------------------------------------------


@CASES.case("an empty file", error=bad_rows("rows.jsonl: holds no rows"))
def empty(folder: Path) -> list[str]:
    return run_on(folder, "")


@CASES.case("a file of blank lines", error=bad_rows("rows.jsonl: holds no rows"))
def blank_lines(folder: Path) -> list[str]:
    return run_on(folder, "\n \n\t\n")


@CASES.case("an empty JSON list", error=bad_rows("rows.json: holds no rows"))
def empty_list(folder: Path) -> list[str]:
    return run_on(folder, "[]", "rows.json")


@CASES.case("a gzip file that ends too early", error=f"rows.jsonl.gz cannot be read to its end: {ANY}")
def truncated_gzip(folder: Path) -> list[str]:
    return run_on(folder, gzip.compress(lines(ROW, OTHER).encode())[:-12], "rows.jsonl.gz")


@CASES.case("plain text named .gz", error=f"rows.jsonl.gz is not compressed, as its name says: {ANY}")
def no_gzip(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER), "rows.jsonl.gz")


@CASES.case(
    "a gzip file that is not named .gz", error="rows.jsonl is compressed: name it .jsonl.gz or .json.gz"
)
def gzip_as_json(folder: Path) -> list[str]:
    return run_on(folder, gzip.compress(lines(ROW, OTHER).encode()))


@CASES.case("a Parquet file named .jsonl", error="rows.jsonl is a Parquet file: name it .parquet")
def parquet_as_json(folder: Path) -> list[str]:
    return run_on(folder, parquet({"instruction": ["Mji?"], "output": ["Nairobi."]}))


@CASES.case("a zip archive named .jsonl", error="rows.jsonl is a zip archive: unpack it")
def zip_as_json(folder: Path) -> list[str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("rows.jsonl", lines(ROW))
    return run_on(folder, buffer.getvalue())


@CASES.case("JSON lines named .parquet", error=f"rows.parquet is not a readable Parquet file: {ANY}")
def json_as_parquet(folder: Path) -> list[str]:
    return run_on(folder, lines(ROW, OTHER), "rows.parquet")


@CASES.case("a Parquet file that ends too early", error=f"rows.parquet is not a readable Parquet file: {ANY}")
def truncated_parquet(folder: Path) -> list[str]:
    return run_on(folder, parquet({"instruction": ["Mji?"], "output": ["Nairobi."]})[:-30], "rows.parquet")


@CASES.case(
    "a Parquet file with its middle overwritten",
    error=f"rows.parquet is not a readable Parquet file: {ANY}",
)
def damaged_parquet(folder: Path) -> list[str]:
    content = parquet(
        {name: [f"{name} {i}" for i in range(999)] for name in ("instruction", "instruction_en", "output")}
    )
    return run_on(folder, content[:400] + b"\xff" * 4000 + content[4400:], "rows.parquet")


@CASES.case(
    "Parquet with other columns",
    error=(
        "rows.parquet has no column 'instruction'\n"
        "columns: inputs, targets; name the right one with columns.instruction=NAME"
    ),
)
def other_columns(folder: Path) -> list[str]:
    return run_on(folder, parquet({"inputs": ["Mji?"], "targets": ["Nairobi."]}), "rows.parquet")


@CASES.case(
    "Parquet with structures in place of text",
    error=bad_rows("rows.parquet, row 1, output: is an object, must be text"),
)
def structures(folder: Path) -> list[str]:
    values = {**{name: [value] for name, value in ROW.items()}, "output": [{"text": "Nairobi."}]}
    return run_on(folder, parquet(values), "rows.parquet")


@CASES.case(
    "Parquet with a column of nulls",
    error=bad_rows("rows.parquet, row 1, instruction_en: is null: the row has no English translation"),
)
def nulls(folder: Path) -> list[str]:
    values = {**{name: [value] for name, value in ROW.items()}, "instruction_en": pyarrow.nulls(1)}
    return run_on(folder, parquet(values), "rows.parquet")


@CASES.case(
    "Parquet with bytes in place of text",
    error=bad_rows("rows.parquet, row 1, output: is bytes, must be text"),
)
def binary_column(folder: Path) -> list[str]:
    values = {**{name: [value] for name, value in ROW.items()}, "output": [b"Nairobi."]}
    return run_on(folder, parquet(values), "rows.parquet")


@CASES.case(
    "Parquet with text that is not UTF-8",
    error=bad_rows(f"rows.parquet, row 2: holds a value that cannot be read: {ANY}"),
)
def parquet_latin_1(folder: Path) -> list[str]:
    raw = pyarrow.array([b"Nairobi.", b"K\xf6ln"])
    values: dict[str, Any] = {name: [ROW[name], OTHER[name]] for name in ROW}
    text = pyarrow.Array.from_buffers(pyarrow.string(), 2, raw.buffers())
    return run_on(folder, parquet({**values, "output": text}), "rows.parquet")


@CASES.case(
    "Parquet with two columns of one name", error="rows.parquet has two columns that are named 'output'"
)
def twin_columns(folder: Path) -> list[str]:
    table = pyarrow.table(
        [["Mji?"], ["City?"], ["Nairobi."], ["Mombasa."]],
        ["instruction", "instruction_en", "output", "output"],
    )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return run_on(folder, buffer.getvalue(), "rows.parquet")


@CASES.case(
    "a CSV file",
    error="rows.csv: files are read by their suffix, one of .jsonl, .jsonl.gz, .json, .json.gz, .parquet",
)
def csv(folder: Path) -> list[str]:
    return run_on(folder, "instruction,instruction_en,output\nMji?,City?,Nairobi.\n", "rows.csv")


@CASES.case(
    "a CSV file named .jsonl",
    error=bad_rows(
        f"rows.jsonl, row 1: is broken JSON at column 1: {ANY}",
        f"rows.jsonl, row 2: is broken JSON at column 1: {ANY}",
    ),
)
def csv_as_json(folder: Path) -> list[str]:
    return run_on(folder, "instruction,instruction_en,output\nMji?,City?,Nairobi.\n")


# --- Names --------------------------------------------------------------------------------------------------


@CASES.case("a misspelt file", error="row.jsonl does not exist; did you mean 'rows.jsonl'?")
def misspelt(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, "row.jsonl")


@CASES.case("a folder without rows", error="rows holds no .jsonl, .jsonl.gz, .json, .json.gz, .parquet")
def empty_folder(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    return arguments(folder, "rows")


@CASES.case(
    "a folder with another split only",
    error="rows holds no files of the split 'train' (data_split), only test.jsonl",
)
def other_split(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    write_rows(folder / "rows" / "test.jsonl")
    return arguments(folder, "rows")


@CASES.case(
    "an empty folder named rows.jsonl",
    error="rows.jsonl holds no .jsonl, .jsonl.gz, .json, .json.gz, .parquet",
)
def folder_as_file(folder: Path) -> list[str]:
    (folder / "rows.jsonl").mkdir()
    return arguments(folder)


@CASES.case("a link to nowhere", error="rows.jsonl is a link to gone.jsonl, which leads nowhere")
def broken_link(folder: Path) -> list[str]:
    (folder / "rows.jsonl").symlink_to("gone.jsonl")
    return arguments(folder)


@CASES.case("a link to itself", error="rows.jsonl is a link to rows.jsonl, which leads nowhere")
def link_to_itself(folder: Path) -> list[str]:
    (folder / "rows.jsonl").symlink_to("rows.jsonl")
    return arguments(folder)


@CASES.case("a named pipe", error="rows.jsonl is neither a file nor a folder")
def pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "rows.jsonl")
    return arguments(folder)


@CASES.case("a named pipe in a folder", error="rows/a.jsonl is neither a file nor a folder")
def pipe_in_folder(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    os.mkfifo(folder / "rows" / "a.jsonl")
    return arguments(folder, "rows")


@CASES.case("a glob that nothing matches", error="no file matches rows/*.jsonl")
def glob(folder: Path) -> list[str]:
    return arguments(folder, "rows/*.jsonl")


@CASES.case(
    "an empty name",
    error="an empty name in data: name files, folders or hub data sets, such as data=[rows.jsonl]",
)
def empty_name(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, "[rows.jsonl,'']")


@CASES.case(
    "a file that is named twice", error="rows.jsonl is named twice in data=['rows.jsonl', './rows.jsonl']"
)
def twice(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, "[rows.jsonl,./rows.jsonl]")


@CASES.case(
    "the same file under two names",
    error="FOLDER/rows.jsonl is named twice in data=['rows.jsonl', 'FOLDER/rows.jsonl']",
)
def two_names(folder: Path) -> list[str]:
    run_on(folder, lines(ROW))
    return arguments(folder, f"[rows.jsonl,{folder}/rows.jsonl]")


@CASES.case(
    "a hub data set without a network",
    error=f"some/data is no local file or folder, and no hub data set that can be loaded: {ANY}",
)
def hub(folder: Path) -> list[str]:
    return arguments(folder, "some/data")


@CASES.case(
    "a data set's repository with a script in it",
    error=f"mine:default is no local file or folder, and no hub data set that can be loaded: {ANY}",
)
def script(folder: Path) -> list[str]:
    (folder / "mine").mkdir()
    (folder / "mine" / "mine.py").write_text("open('ran', 'w').close()\n")
    return arguments(folder, "mine:default")


@CASES.case(
    "a saved data set that names a file outside of its folder",
    error="rows names '../other.arrow' as a part of it, which is no plain name of a file there",
)
def saved_outside(folder: Path) -> list[str]:
    saved(folder, "rows")
    (folder / "rows" / "data-00000-of-00001.arrow").rename(folder / "other.arrow")
    state = json.loads((folder / "rows" / "state.json").read_text())
    state["_data_files"] = [{"filename": "../other.arrow"}]
    (folder / "rows" / "state.json").write_text(json.dumps(state))
    return arguments(folder, "rows")


@CASES.case(
    "a saved data set whose state.json is broken",
    error=f"rows/state.json is not what datasets writes: {ANY}",
)
def saved_broken(folder: Path) -> list[str]:
    saved(folder, "rows")
    (folder / "rows" / "state.json").write_text("{")
    return arguments(folder, "rows")


@CASES.case(
    "a saved data set whose Arrow file ends too early",
    error=f"rows/data-00000-of-00001.arrow is not a readable Arrow file: {ANY}",
)
def saved_truncated(folder: Path) -> list[str]:
    saved(folder, "rows")
    path = folder / "rows" / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:-200])
    return arguments(folder, "rows")


@CASES.case(
    "saved splits that are named outside of their folder",
    error="rows names '../train' as a part of it, which is no plain name of a file there",
)
def saved_split_outside(folder: Path) -> list[str]:
    saved(folder, "train")
    (folder / "rows").mkdir()
    (folder / "rows" / "dataset_dict.json").write_text(json.dumps({"splits": ["../train"]}))
    return [*arguments(folder, "rows"), "data_split=../train"]


def saved(folder: Path, name: str) -> None:
    """Two rows as `datasets` saves them."""
    from datasets import Dataset

    Dataset.from_list([ROW, OTHER]).save_to_disk(folder / name)


@CASES.case(
    "the output folder inside of the data's",
    error=(
        "output_dir=FOLDER/rows/out lies in rows, and all files there are read as rows: "
        "choose another output_dir, or name the files, such as data=rows/*.jsonl"
    ),
)
def output_in_data(folder: Path) -> list[str]:
    (folder / "rows").mkdir()
    write_rows(folder / "rows" / "a.jsonl")
    return [*arguments(folder, "rows")[:-1], "output_dir=rows/out"]
