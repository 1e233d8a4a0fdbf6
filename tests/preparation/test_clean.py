"""`cctuning prepare clean`: what it keeps, lists and counts."""

import json

import pytest

from cctuning.preparation import benchmarks, clean
from cctuning.preparation.manifest import changed_files, read_manifest
from tests.evaluation.clones import write_clones, write_translations
from tests.json_lines import read_lines, write_lines
from tests.preparation.texts import row

LONG = "Which river runs behind the old market, and who built the silver bridge over it in that winter?"
ASKED = "How many letters did the gardener find under the orange candle before the music began to play?"
ROWS = [
    row("What is the capital of France?", "Paris", id="1"),
    row(LONG, "The Stone, and nobody knows.", id="2"),
    row(LONG.replace("silver", "Silver,"), "The Stone, and nobody knows!", id="3"),
    row("Maswali: barua ngapi?", "Tatu", id="4", language="sw", instruction_en=f"Questions: {ASKED}"),
]


@pytest.fixture
def call(tmp_path):
    def written(name, items):
        path = tmp_path / name
        return str(write_lines(path, items))

    def run(*arguments):
        return clean.main([run.rows, "--write", str(run.target), *arguments])

    run.rows = written("rows.jsonl", ROWS)
    run.benchmark = written("MKQA/sw.jsonl", [{"id": 7, "prompt": "Barua ngapi?", "prompt_en": ASKED}])
    run.target = tmp_path / "clean" / "rows.jsonl"
    return run


def test_what_is_removed_is_listed(call, tmp_path, capsys):
    assert call("--benchmarks", str(tmp_path / "MKQA")) == 0
    assert [one["id"] for one in read_lines(call.target)] == ["1", "2"]
    held, near = read_lines(tmp_path / "clean" / "rows.removed.jsonl")
    assert (held["reason"], held["id"], held["similarity"]) == ("benchmark question", "4", 1.0)
    assert held["of"] == {"file": call.benchmark, "id": "7", "column": "prompt_en", "text": ASKED}
    assert (near["reason"], near["id"], near["similarity"]) == ("near duplicate", "3", 1.0)
    assert (near["of"]["id"], near["of"]["text"], near["instruction"]) == ("2", LONG, ROWS[2]["instruction"])
    printed = capsys.readouterr().out
    assert "2 of 4 rows" in printed
    assert "1 with questions of" in printed
    assert "1 questions of benchmarks are too short" in printed
    [entry] = read_manifest(call.target)
    assert entry["left_out"] == {"benchmark question": 1, "near duplicate": 1}
    assert entry["rows"] == {"all": 2, "en": 2}
    assert {file["file"] for file in entry["inputs"]} == {"../rows.jsonl", "../MKQA/sw.jsonl"}
    assert changed_files(call.target) == []


def test_without_benchmarks_only_near_duplicates_go(call):
    assert call() == 0
    assert [one["id"] for one in read_lines(call.target)] == ["1", "2", "4"]


def test_thresholds_are_obeyed(call, tmp_path):
    shortened = {"id": 7, "prompt": ASKED + " And how many of them were there in the end, after all that?"}
    (tmp_path / "MKQA" / "sw.jsonl").write_text(json.dumps(shortened), encoding="utf-8")
    benchmarks = ["--benchmarks", call.benchmark]
    kept = {}
    for share in ("0.4", "0.99"):
        assert call(*benchmarks, "--overlap", share) == 0
        kept[share] = [one["id"] for one in read_lines(call.target)]
    assert kept == {"0.4": ["1", "2"], "0.99": ["1", "2", "4"]}


def test_the_same_command_gives_the_same_files(call, tmp_path):
    results = []
    for _ in range(2):
        assert call("--benchmarks", call.benchmark) == 0
        results.append([path.read_bytes() for path in sorted((tmp_path / "clean").glob("rows.*"))])
    assert results[0] == results[1]


@pytest.mark.parametrize("more", [["--benchmarks", "no/such.jsonl"], ["--column", "instruction=promt"]])
def test_errors_are_one_line_and_write_nothing(call, more, capsys):
    assert call(*more) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not call.target.exists()


@pytest.mark.parametrize("source", ["rows.jsonl", "."])
def test_what_is_read_is_not_written(call, source, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "rows.jsonl").read_bytes()
    assert clean.main([source, "--write", "rows.jsonl"]) == 2
    assert "error: --write rows.jsonl" in capsys.readouterr().err
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_a_folder_that_data_prep_made_is_one_of_benchmarks(call, tmp_path):
    """It has a list of faults and, with a translator, what was translated beside the questions."""
    made, root = tmp_path / "made", write_clones(tmp_path / "clones")
    words = write_translations(tmp_path / "translations.jsonl")
    arguments = ["xnli", "xlsum", "--languages", "sw", "--root", str(root), "--output", str(made)]
    assert benchmarks.main([*arguments, "--translator", "file", "--translator-model", str(words)]) == 0
    assert {"anomalies.json", "manifest.json", "translations.jsonl"} < {path.name for path in made.iterdir()}
    [asked, *_] = read_lines(made / "XLSum" / "sw.jsonl")
    held = row(asked["prompt"], "Sawa.", id="9", language="sw", instruction_en="Summarise it.")
    rows = tmp_path / "more.jsonl"
    rows.write_text(json.dumps(held) + "\n", encoding="utf-8")
    assert clean.main([str(rows), "--write", str(call.target), "--benchmarks", str(made)]) == 0
    [removed] = read_lines(call.target.with_name("rows.removed.jsonl"))
    assert removed["of"]["file"] == str(made / "XLSum" / "sw.jsonl")


def test_a_list_of_faults_alone_is_no_benchmark(call, tmp_path, capsys):
    (tmp_path / "anomalies.json").write_text("{}", encoding="utf-8")
    assert call("--benchmarks", str(tmp_path / "anomalies.json")) == 2
    assert "no benchmark file, only anomalies.json or translations.jsonl" in capsys.readouterr().err
