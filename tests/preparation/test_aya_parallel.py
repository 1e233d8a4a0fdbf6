"""`cctuning prepare aya_parallel` against a server with a file like the authors'."""

import functools
import hashlib
import json

import pytest

from cctuning.commands.schemas import TrainRecipe
from cctuning.data.rows import read_rows
from cctuning.preparation import aya_parallel, fetch
from cctuning.preparation.download import download
from cctuning.preparation.manifest import changed_files, read_manifest
from cctuning.settings.recipe import load_recipe
from tests.preparation.server import serving

# As the authors' file: a JSON list, without languages and ids. Written for these tests.
ROWS = [
    ("Ni mji gani ulio mkuu wa nchi ya Tanzania?", "Which is the capital of Tanzania?", "Ni mji wa Dodoma."),
    ("Назовите столицу Казахстана, пожалуйста.", "Name the capital of Kazakhstan.", "Это город Астана."),
    ("日本の首都はどこですか。", "What is the capital of Japan?", "日本の首都は東京です。"),
    ("What is the capital of France?", "What is the capital of France?", "The capital of France is Paris."),
    ("2 + 2 = ?", "2 + 2 = ?", "4"),
]
LANGUAGES = ["sw", "ru", "ja", "en", None]
AUTHORS = [dict(zip(("instruction", "instruction_en", "output"), row, strict=True)) for row in ROWS]


def encoded(rows) -> bytes:
    return json.dumps(rows, ensure_ascii=False, indent=2).encode()


@pytest.fixture
def server(monkeypatch):
    quick = functools.partial(fetch.fetch, download=functools.partial(download, wait=0.001))
    monkeypatch.setattr(aya_parallel, "fetch", quick)
    with serving(encoded(AUTHORS)) as answers:
        yield answers


@pytest.fixture
def prepare(server, tmp_path):
    target = tmp_path / "data" / "aya_parallel.jsonl"

    def call(*arguments):
        return aya_parallel.main(["--url", server.url, "--write", str(target), "--rows", "5", *arguments])

    call.target = target
    return call


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_get_ids_and_languages(prepare, capsys):
    assert prepare() == 0
    found = records(prepare.target)
    assert [row["id"] for row in found] == [f"aya:{number}" for number in range(1, 6)]
    assert [row["language"] for row in found] == LANGUAGES
    assert [{key: row[key] for key in AUTHORS[0]} for row in found] == AUTHORS
    rows, problems = read_rows([str(prepare.target)])
    assert len(rows) == 5
    assert not problems
    assert "languages: identified 4, unknown 1" in capsys.readouterr().out


def test_the_manifest_holds_the_download(prepare, server):
    assert prepare("--confidence", "0.4") == 0
    [entry] = read_manifest(prepare.target)
    assert entry["command"].startswith("cctuning prepare aya_parallel --url")
    assert entry["inputs"][0] == {"name": server.url}
    assert entry["inputs"][1]["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert entry["rows"] == {"all": 5, "en": 1, "ja": 1, "ru": 1, "sw": 1, "und": 1}
    assert entry["settings"]["confidence"] == 0.4
    assert changed_files(prepare.target) == []


def test_a_second_call_downloads_nothing_and_gives_the_same(prepare, server):
    assert prepare() == 0
    before = prepare.target.read_bytes()
    prepare.target.unlink()
    assert prepare() == 0
    assert prepare.target.read_bytes() == before
    assert len(server.asked) == 1


def test_languages_come_from_aya_where_it_has_the_row(prepare, tmp_path, capsys):
    aya = [
        {"inputs": ROWS[0][0] + "\n", "targets": ROWS[0][2], "language": "Comorian", "language_code": "zdj"},
        {"inputs": ROWS[4][0], "targets": ROWS[4][2], "language": "Yoruba", "language_code": "yor"},
        {"inputs": ROWS[2][0], "targets": "another answer", "language": "Thai", "language_code": "tha"},
        {"inputs": ROWS[3][0], "targets": ROWS[3][2], "language": "English", "language_code": "eng"},
        {"inputs": ROWS[3][0], "targets": ROWS[3][2], "language": "German", "language_code": "deu"},
        {"inputs": None, "targets": "", "language": "Thai", "language_code": "tha"},
    ]
    (tmp_path / "aya.jsonl").write_text("".join(json.dumps(row) + "\n" for row in aya), encoding="utf-8")
    assert prepare("--aya", str(tmp_path / "aya.jsonl")) == 0
    # A row that is there in two languages is identified by its text.
    assert [row["language"] for row in records(prepare.target)] == ["zdj", "ru", "ja", "en", "yo"]
    assert "languages: identified 3, in Aya 2" in capsys.readouterr().out


def test_a_sure_language_may_be_asked_for(prepare):
    assert prepare("--confidence", "1") == 0
    assert None in [row.get("language") for row in records(prepare.target)[:4]]


def test_bad_rows_are_listed(prepare, server, capsys):
    bad = [{**AUTHORS[0], "instruction_en": ""}, {**AUTHORS[1], "output": None, "instruction": 3}, "no row"]
    server.content = encoded([*AUTHORS, *bad])
    assert prepare() == 0
    assert len(records(prepare.target)) == 5
    rejects = prepare.target.with_name("aya_parallel.rejects.jsonl")
    assert [reject["row"] for reject in records(rejects)] == bad
    [entry] = read_manifest(prepare.target)
    assert sum(entry["left_out"].values()) == 3
    assert len(entry["outputs"]) == 2
    assert "left out: 1 (bad row: instruction_en)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encoded(AUTHORS[:3]), "holds 3 rows, and 5 are expected"),
        (b"", "holds no rows"),
        (b"[]", "holds no rows"),
        (b"<!DOCTYPE html>\n<html>\n</html>", "holds no rows: is broken JSON"),
        (encoded(AUTHORS)[:-9], "is broken JSON"),
        (encoded([{"question": "a", "answer": "b"}] * 5), "has no column 'instruction'"),
        (b"\xff\xfe\x00", "UTF-16"),
    ],
)
def test_another_file_is_an_error_and_changes_nothing(prepare, server, content, said, capsys):
    assert prepare() == 0
    before = prepare.target.read_bytes()
    server.content, server.url = content, server.url + "?other"
    assert prepare("--url", server.url) == 2
    error = capsys.readouterr().err
    assert "error: " in error
    assert said in error
    assert prepare.target.read_bytes() == before


def test_what_does_not_exist(prepare, server, capsys):
    server.statuses = [404]
    assert prepare() == 2
    assert f"error: {server.url} answers 404 Not Found: nothing is at this address" in capsys.readouterr().err
    assert not prepare.target.exists()


def test_ctrl_c_says_how_to_go_on(prepare, server, monkeypatch, capsys):
    def interrupted(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(aya_parallel, "fetch", interrupted)
    assert prepare() == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sha256", "12"],
        ["--confidence", "2"],
        ["--confidence", "x"],
        ["--write", "rows.csv"],
        ["--wirte", "x.jsonl"],
    ],
)
def test_arguments_that_cannot_be_used(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        aya_parallel.main(arguments)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_the_default_file_is_the_one_of_the_recipes(monkeypatch, server, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert aya_parallel.main(["--url", server.url, "--rows", "5"]) == 0
    recipe = load_recipe(["recipe=llama31_aya"], TrainRecipe)
    assert len(read_rows(recipe.data)[0]) == 5
