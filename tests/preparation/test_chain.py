"""The commands of docs/data_prep.md one after another, on rows as the authors': three columns, no languages.

Each takes what the one before has written; what comes out trains together.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from cctuning.data.rows import read_rows
from cctuning.preparation import aya_parallel, benchmarks, check, clean, settings, translate
from cctuning.preparation.manifest import read_manifest
from cctuning.preparation.sdrrl.__main__ import main as sdrrl
from cctuning.preparation.sdrrl.draw import SHARES
from tests.evaluation.clones import write_clones, write_translations
from tests.json_lines import read_lines, write_lines
from tests.preparation.server import serving

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples/train"
LANGUAGES = ("de", "en", "es", "fr", "sw", "tr", "zh")
UNKNOWN = {"instruction": "2 + 2 = ?", "instruction_en": "2 + 2 = ?", "output": "4", "output_en": "4"}
# Western Punjabi: identified, but no language of languages.tsv.
RARE = {
    "instruction": "پنجاب دا سب توں وڈا شہر کہڑا اے؟",
    "instruction_en": "Which is the largest city of Punjab?",
    "output": "لہور پنجاب دا سب توں وڈا شہر اے تے ایہہ راوی دریا دے کنڈھے تے وسیا ہویا اے۔",
    "output_en": "Lahore is the largest city of Punjab, and it lies on the river Ravi.",
}
COLUMNS = ("instruction", "instruction_en", "output")  # of the authors' file
NO_MODEL = {"partial_translation": 0.5, "completion": 0.5}  # the kinds that no model is asked for


def authors_rows(asked):
    """Rows with English responses, of which the authors' file has the other three columns."""
    rows = [row for language in LANGUAGES for row in read_lines(EXAMPLES / f"{language}.jsonl")]
    held = {"instruction": asked["prompt"], "instruction_en": asked["prompt_en"], "output": "Sawa kabisa."}
    return [*rows, UNKNOWN, RARE, {**held, "output_en": "That is quite right."}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all of it was done."""
    folder = tmp_path_factory.mktemp("chain")
    raw, both, train = (folder / name for name in ("raw", "both", "train"))
    words = write_translations(folder / "words.jsonl")
    translator = ("--translator", "file", "--translator-model", words)
    asked = ["xlsum", "--languages", "sw", "--root", write_clones(folder / "clones")]
    _ended(benchmarks, *asked, "--output", folder / "benchmarks", *translator)
    rows = authors_rows(read_lines(folder / "benchmarks/XLSum/sw.jsonl")[0])
    columns = [{name: row.get(name) or row["instruction"] for name in COLUMNS} for row in rows]
    with serving(json.dumps(columns).encode()) as server:
        base = raw / "aya_parallel.jsonl"
        _ended(aya_parallel, "--url", server.url, "--rows", len(rows), "--write", base)
    pairs = [{"text": row["output"], "translation": row.get("output_en") or row["output"]} for row in rows]
    responses = ("--translator", "file", "--model", write_lines(folder / "responses.jsonl", pairs))
    fields = ("--field", "output", "--to-field", "output_en", "--from", "auto")
    _ended(translate, base, *fields, "--output", both / "aya_both.jsonl", *responses)
    _ended(settings, "en", both / "aya_both.jsonl", "--write", train / "aya_en.jsonl")
    _ended(settings, "mt", base, "--write", train / "aya_mt.jsonl")
    shares = [f"--share={kind}={NO_MODEL.get(kind, 0)}" for kind in SHARES]
    added = train / "aya_sdrrl.jsonl"
    assert sdrrl([str(base), "--write", str(added), "--model", "meta-llama/Llama-3.1-8B", *shares]) == 0
    _ended(clean, base, "--benchmarks", folder / "benchmarks", "--write", train / "aya_parallel.jsonl")
    return folder


def _ended(script, *arguments):
    assert script.main([str(argument) for argument in arguments]) == 0, script.__name__


def test_all_languages_that_the_chain_has_to_bear_are_there(folder):
    base = read_lines(folder / "raw/aya_parallel.jsonl")
    assert {*LANGUAGES, "pnb", None} <= {row["language"] for row in base}
    assert all(row.keys() == {"id", "language", *COLUMNS} for row in base)


def test_what_was_made_trains_together(folder):
    rows, problems = read_rows([str(folder / "train")])
    assert not problems
    files = Counter(Path(row.file).name for row in rows)
    made = {name: len(read_lines(folder / "train" / name)) for name in files}
    assert files == made
    assert set(made) == {f"aya_{name}.jsonl" for name in ("parallel", "en", "mt", "sdrrl")}


@pytest.mark.parametrize("name", ["both", "train"])
def test_the_check_of_a_folder_finds_nothing(folder, name, capsys):
    assert check.main([str(folder / name), "--manifest", str(folder / name)]) == 0
    assert "no bad rows" in capsys.readouterr().out


def test_every_row_that_was_not_added_is_counted(folder):
    base = read_lines(folder / "raw/aya_parallel.jsonl")
    languages = Counter(row["language"] for row in base)
    entries = {entry["outputs"][0]["file"]: entry for entry in read_manifest(folder / "train")}
    mt = entries["aya_mt.jsonl"]["left_out"]
    assert mt["the language is unknown"] == languages[None]
    assert mt["no English name of pnb is known"] == languages["pnb"]
    assert len(read_lines(folder / "train/aya_mt.jsonl")) == len(base) - sum(mt.values())
    lost = entries["aya_sdrrl.jsonl"]["left_out"]
    assert sorted(lost.values()) == sorted([languages[None], languages["pnb"]])
    english = entries["aya_en.jsonl"]["left_out"]
    assert len(read_lines(folder / "train/aya_en.jsonl")) == len(base) - languages["pnb"] - sum(
        english.values()
    )
    assert "no English response" not in english  # the translation found all but those that it rejected
    rejected = read_lines(folder / "both/aya_both.rejects.jsonl")
    assert [reject["row"]["language"] for reject in rejected] == ["pnb"]


def test_the_benchmark_question_is_gone(folder):
    removed = read_lines(folder / "train/aya_parallel.removed.jsonl")
    last = read_lines(folder / "raw/aya_parallel.jsonl")[-1]["id"]
    assert (last, "benchmark question") in {(row["id"], row["reason"]) for row in removed}
    assert last not in {row["id"] for row in read_lines(folder / "train/aya_parallel.jsonl")}
