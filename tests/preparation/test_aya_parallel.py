"""`cctuning prepare aya_parallel` against a server with a file like the authors'."""

import functools
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cctuning.commands.schemas import TrainRecipe
from cctuning.data.rows import read_rows
from cctuning.preparation import authors, aya_parallel, fetch
from cctuning.preparation.download import download
from cctuning.preparation.manifest import changed_files, read_manifest
from cctuning.settings.recipe import load_recipe
from tests.json_lines import read_lines, write_lines
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
    monkeypatch.setattr(authors, "fetch", quick)
    with serving(encoded(AUTHORS)) as answers:
        yield answers


@pytest.fixture
def prepare(server, tmp_path):
    target = tmp_path / "data" / "aya_parallel.jsonl"

    def call(*arguments):
        return aya_parallel.main(["--url", server.url, "--write", str(target), "--rows", "5", *arguments])

    call.target = target
    return call


def test_rows_get_ids_and_languages(prepare, capsys):
    assert prepare() == 0
    found = read_lines(prepare.target)
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
    checksum = hashlib.sha256(server.content).hexdigest()
    assert entry["inputs"][0] == {"name": server.url, "sha256": checksum}
    assert entry["inputs"][1]["sha256"] == checksum
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
    write_lines(tmp_path / "aya.jsonl", aya)
    assert prepare("--aya", str(tmp_path / "aya.jsonl")) == 0
    # A row that is there in two languages is identified by its text.
    assert [row["language"] for row in read_lines(prepare.target)] == ["zdj", "ru", "ja", "en", "yo"]
    assert "languages: identified 3, in Aya 2" in capsys.readouterr().out


def test_a_sure_language_may_be_asked_for(prepare):
    assert prepare("--confidence", "1") == 0
    assert None in [row.get("language") for row in read_lines(prepare.target)[:4]]


def test_bad_rows_are_listed(prepare, server, capsys):
    bad = [{**AUTHORS[0], "instruction_en": ""}, {**AUTHORS[1], "output": None, "instruction": 3}, "no row"]
    server.content = encoded([*AUTHORS, *bad])
    assert prepare() == 0
    assert len(read_lines(prepare.target)) == 5
    rejects = prepare.target.with_name("aya_parallel.rejects.jsonl")
    assert [reject["row"] for reject in read_lines(rejects)] == bad
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


# As the settings' files may be: more rows, and columns of their own. Written for these tests.
ADDED = {"instruction": "Which?", "instruction_en": "Which?", "output": "This.", "kind": "added"}
FILES = {
    "base": "aya_train_mini_parallel",
    "en": "aya_train_mini_all_parallel",
    "mt": "aya_train_mini_add_mt_parallel",
    "llama31": "Llama-3.1-8B_SDRRL_parallel",
    "qwen25": "Qwen2.5-7B_SDRRL_parallel",
    "mistral": "Mistral-7B-v0.3_SDRRL_parallel",
}


@pytest.fixture
def repository(server, monkeypatch, tmp_path):
    """A repository like the authors' at the server's root, and an empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    root = server.url.removesuffix("/folder/rows.json")
    monkeypatch.setattr(aya_parallel, "REPOSITORY", f"{root}/{{commit}}")
    for number, (key, name) in enumerate(FILES.items()):
        rows = [*AUTHORS, *[{**ADDED, "output": key}] * number]
        server.paths[f"/{authors.COMMIT}/Training/data/{name}.json"] = encoded(rows)
    return server


@pytest.mark.parametrize(
    ("arguments", "key", "name"),
    [
        ([], "base", "aya_parallel"),
        (["--setting", "en"], "en", "aya_parallel_en"),
        (["--setting", "mt"], "mt", "aya_parallel_mt"),
        (["--setting", "sdrrl", "--model", "llama31"], "llama31", "aya_parallel_sdrrl_llama31"),
        (["--setting", "sdrrl", "--model", "Qwen/Qwen2.5-7B"], "qwen25", "aya_parallel_sdrrl_qwen25"),
        (["--setting", "sdrrl", "--model", "Mistral-7B-v0.3"], "mistral", "aya_parallel_sdrrl_mistral"),
    ],
)
def test_each_setting_has_the_authors_file_and_the_recipes_name(repository, arguments, key, name, capsys):
    if key != "base":
        assert aya_parallel.main(["--rows", "1"]) == 0
    assert aya_parallel.main([*arguments, "--rows", "1"]) == 0
    made = read_lines(Path(f"data/{name}.jsonl"))
    number = list(FILES).index(key)
    assert [row["output"] for row in made] == [row["output"] for row in AUTHORS] + [key] * number
    prefix = name.replace("_parallel", "")
    assert [row["id"] for row in made] == [f"{prefix}:{place}" for place in range(1, 6 + number)]
    entry = read_manifest(Path("data"))[-1]
    assert entry["inputs"][0]["name"].endswith(f"/Training/data/{FILES[key]}.json")
    held = entry["settings"]["the file holds"]
    assert held["rows"] == 5 + number
    columns = dict.fromkeys(AUTHORS[0], 5 + number) | ({"kind": number} if number else {})
    assert held["columns"] == columns
    assert held["prompts that are their own English"] == 2 + number
    assert held.get("rows of aya_parallel.jsonl") == (None if key == "base" else 5)
    said = capsys.readouterr().out
    assert f"{5 + number} rows with the columns instruction, instruction_en, output" in said
    assert ("kind (in" in said and "(not read)" in said) == bool(number)
    model = name.rpartition("_")[2]
    recipe = {"base": "llama31_aya", "en": "authors/llama31_authors_en", "mt": "authors/mistral_authors_mt"}
    wanted = load_recipe([f"recipe={recipe.get(key, f'authors/{model}_authors_sdrrl')}"], TrainRecipe).data
    assert wanted == [f"data/{name}.jsonl"]


def test_languages_that_a_file_says_itself_are_kept(prepare, server):
    server.content = encoded([{**AUTHORS[0], "language": "zdj"}, *AUTHORS[1:]])
    assert prepare() == 0
    assert [row["language"] for row in read_lines(prepare.target)] == ["zdj", *LANGUAGES[1:]]
    assert read_manifest(prepare.target)[0]["settings"]["languages found"]["in the file"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--setting", "sdrrl"], "--model"),
        (["--setting", "sdrrl", "--model", "gemma"], "'gemma' is not one of llama31"),
        (["--setting", "mt", "--model", "llama31"], "--setting sdrrl alone"),
    ],
)
def test_a_model_belongs_to_sdrrl_alone(repository, arguments, said, capsys):
    assert aya_parallel.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not repository.asked


def test_a_later_download_that_differs_is_refused_by_name(prepare, server, capsys):
    assert prepare() == 0
    before, old = prepare.target.read_bytes(), hashlib.sha256(server.content).hexdigest()
    shutil.rmtree(prepare.target.parent / authors.DOWNLOADS)
    server.content, server.tag = encoded([*AUTHORS[:-1], ADDED]), '"two"'
    assert prepare() == 2
    error = capsys.readouterr().err
    for part in (server.url, old, hashlib.sha256(server.content).hexdigest(), "manifest.json"):
        assert part in error
    assert prepare.target.read_bytes() == before
    assert not list(prepare.target.parent.rglob("rows.json"))
    assert prepare("--sha256", hashlib.sha256(server.content).hexdigest()) == 0  # that one is asked for
    assert prepare.target.read_bytes() != before


def test_what_does_not_exist(prepare, server, capsys):
    server.statuses = [404]
    assert prepare() == 2
    assert f"error: {server.url} answers 404 Not Found: nothing is at this address" in capsys.readouterr().err
    assert not prepare.target.exists()


def test_ctrl_c_says_how_to_go_on(prepare, server, monkeypatch, capsys):
    def interrupted(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(authors, "fetch", interrupted)
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
