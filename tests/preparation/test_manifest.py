"""Manifests: what they hold, what they say of changed files, and what is no manifest."""

import hashlib
import json

import pytest

from cctuning.data.rows import rows_from_records
from cctuning.data.sources import find_sources
from cctuning.preparation import check
from cctuning.preparation.manifest import (
    ManifestError,
    changed_files,
    count_languages,
    read_manifest,
    write_manifest,
)

ROW = '{"language": "sw", "instruction": "Habari?", "instruction_en": "News?", "output": "Nzuri."}\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.jsonl").write_text(ROW, encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text(ROW, encoding="utf-8")
    return tmp_path / "data"


def write(folder, name="rows.jsonl", **more):
    more = {"inputs": [folder.parent / "raw", "org/set"], "counts": {"sw": 2, "ar": 1}} | more
    return write_manifest(folder, command=["python", "x y"], outputs=[folder / name], **more)


def test_an_entry_holds_everything(folder):
    entry = write(
        folder, seed=7, settings={"rows": 3}, left_out={"too long": 4}, packages=["numpy", "no-such"]
    )
    digest = hashlib.sha256(ROW.encode()).hexdigest()
    assert entry["command"] == "python 'x y'"
    assert entry["seed"] == 7
    assert entry["rows"] == {"all": 3, "ar": 1, "sw": 2}
    assert entry["left_out"] == {"too long": 4}
    assert entry["settings"] == {"rows": 3}
    assert entry["inputs"] == [
        {"file": "../raw/a.jsonl", "bytes": len(ROW), "sha256": digest},
        {"name": "org/set"},
    ]
    assert entry["outputs"] == [{"file": "rows.jsonl", "bytes": len(ROW), "sha256": digest}]
    assert set(entry["versions"]) == {"python", "cctuning", "numpy", "no-such"}
    assert entry["versions"]["no-such"] == "not installed"
    assert read_manifest(folder) == [entry]


def test_hidden_files_of_a_folder_are_no_inputs(folder):
    for name in (".downloads/a.jsonl", ".x", "manifest.json"):
        (folder.parent / "raw" / name).parent.mkdir(exist_ok=True)
        (folder.parent / "raw" / name).write_text("[]", encoding="utf-8")
    assert [file.get("file") for file in write(folder)["inputs"]] == ["../raw/a.jsonl", None]


def test_only_files_that_are_there_are_described(folder):
    for name in ("gone.jsonl", "rows.jsonl", "more.jsonl", "rows.jsonl"):
        (folder / name).write_text(ROW, encoding="utf-8")
        write(folder, name)
        (folder / "gone.jsonl").unlink(missing_ok=True)
    assert [entry["outputs"][0]["file"] for entry in read_manifest(folder)] == ["more.jsonl", "rows.jsonl"]


def test_changed_and_missing_files_are_named(folder):
    write(folder)
    assert changed_files(folder) == []
    assert changed_files(folder / "manifest.json") == changed_files(folder / "rows.jsonl") == []
    (folder / "rows.jsonl").write_text(ROW + ROW, encoding="utf-8")
    assert changed_files(folder) == ["rows.jsonl has another content (python 'x y')"]
    (folder / "rows.jsonl").unlink()
    assert changed_files(folder) == ["rows.jsonl is missing (python 'x y')"]


def test_an_input_may_be_gone_but_not_be_another(folder):
    write(folder)
    source = folder.parent / "raw" / "a.jsonl"
    source.write_text(ROW + ROW, encoding="utf-8")
    assert changed_files(folder) == ["../raw/a.jsonl has another content, after rows.jsonl was made from it"]
    source.unlink()
    assert changed_files(folder) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[1]",
        '[{"inputs": [], "outputs": [{"file": "a"}]}]',
        '[{"inputs": [{}], "outputs": []}]',
        "\0",
    ],
)
def test_what_is_no_manifest_is_said(folder, content):
    (folder / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.json is not a manifest"):
        read_manifest(folder)
    with pytest.raises(ManifestError):
        write(folder)
    assert (folder / "manifest.json").read_text(encoding="utf-8") == content


def test_check_compares_a_folder_with_its_manifest(folder, capsys):
    write(folder)
    arguments = [str(folder), "--manifest", str(folder)]
    assert check.main(arguments) == 0
    (folder / "rows.jsonl").write_text(ROW.replace("Nzuri", "Sawa"), encoding="utf-8")
    assert check.main(arguments) == 1
    assert "manifest: rows.jsonl has another content" in capsys.readouterr().out
    (folder / "manifest.json").unlink()
    assert check.main(arguments) == 2
    assert "manifest.json does not exist" in capsys.readouterr().err


def test_what_data_prep_writes_beside_rows_is_not_read_as_rows(folder):
    write(folder)
    for kind in ("rejects", "removed", "translations", "answers"):
        (folder / f"rows.{kind}.jsonl").write_text(json.dumps({"file": "rows.jsonl"}), encoding="utf-8")
    assert [source.name for source in find_sources([str(folder)])] == [str(folder / "rows.jsonl")]


def test_languages_are_counted():
    rows, _ = rows_from_records([json.loads(ROW), {**json.loads(ROW), "language": None}] * 2)
    assert count_languages(rows) == {"sw": 2, "und": 2}
