"""`cctuning prepare model --vocabulary`: a model that knows the words of some files."""

import json

import pytest
from transformers import AutoTokenizer

from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.preparation import model as script
from cctuning.preparation.manifest import changed_files, read_manifest
from tests.hub_cache import put_into_cache
from tests.scripts import ON_CPU, call, succeed, write_base, write_rows

QUESTION = {"id": 1, "language": "sw", "prompt": "Mto gani?", "prompt_en": "Which river?", "answer": ["Tana"]}


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


@pytest.fixture
def questions(tmp_path):
    """A folder with a test set of a user's own; no file of it is a split to train on."""
    file = tmp_path / "questions" / "rivers" / "test.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(QUESTION, ensure_ascii=False) + "\n", encoding="utf-8")
    return tmp_path / "questions"


def prepare(base, output, *sources, template="plain"):
    arguments = ["--vocabulary", *map(str, sources), "--template", template, "--output", str(output)]
    return call(script, str(base), *arguments)


def test_rows_and_questions_are_read_as_before_and_other_words_are_said(base, questions, tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", count=2)  # Russian and Thai
    ended = prepare(base, tmp_path / "cut", rows, questions)
    assert ended.status == 0, ended.err
    full, cut = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("base", "cut"))
    assert len(cut) < len(full)
    assert f"{len(cut):,} of {len(full):,} tokens" in ended.out
    assert cut.chat_template is None  # as before
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines() if line]
    texts = [value for line in lines for name, value in line.items() if name != "id"]
    choose_template(full, "plain"), choose_template(cut, "plain")
    whole, part = PromptFormat(full), PromptFormat(cut)
    for text in (*texts, QUESTION["prompt"], "Tana"):
        for read in (PromptFormat.prompt_ids, PromptFormat.response_ids):
            ids = [tokens.tokenizer.convert_ids_to_tokens(read(tokens, text)) for tokens in (whole, part)]
            assert ids[0] == ids[1]
    markers = [tokens.tokenizer.convert_ids_to_tokens(tokens.response_marker) for tokens in (whole, part)]
    assert markers[0] == markers[1]
    assert read_manifest(tmp_path / "cut")[0]["settings"]["tokens"] == len(cut)
    assert changed_files(tmp_path / "cut") == []

    others = write_rows(tmp_path / "others.jsonl", count=12)  # English and Swahili, too
    settings = ON_CPU | {
        "model_name_or_path": tmp_path / "cut",
        "max_steps": 1,
        "output_dir": tmp_path / "run",
    }
    for data, said in ((rows, False), (others, True)):
        trained = succeed("train", *(f"{key}={value}" for key, value in settings.items()), f"data={data}")
        assert ("vocabulary was cut" in trained.out) == said
        settings["resume"] = "never"
    asked = f"data={others}", f"model={tmp_path / 'run'}", "use_cpu=true", "dry_run=true", "held_out=0.5"
    assert "vocabulary was cut" in call("fit", *asked).out  # the run's tokenizer knows it, too
    for question, said in ((lines[0]["instruction"], False), ("Mji mkuu wa Kenya ni upi?", True)):
        chat = call("chat", f"model={tmp_path / 'run'}", f"question={question}", "max_new_tokens=1")
        assert ("vocabulary was cut" in chat.out) == said, chat.err


@pytest.mark.parametrize(
    ("kind", "said"),
    [("missing", "no such file"), ("empty", "no text"), ("run", "connection"), ("template", "template")],
)
def test_what_cannot_be_cut_is_one_error_and_leaves_no_folder(base, tmp_path, kind, said):
    rows = write_rows(tmp_path / "rows.jsonl")
    if kind == "missing":
        rows = tmp_path / "none.jsonl"
    elif kind == "empty":
        rows.write_text("{}\n")
    elif kind == "run":
        (base / "connection").mkdir()
        (base / "connection" / "connection.json").write_text("{}")
    ended = prepare(base, tmp_path / "cut", rows, template="none" if kind == "template" else "plain")
    assert ended.status == 2
    assert said in " ".join(ended.err.split())
    assert not (tmp_path / "cut").exists()


def test_a_run_on_the_hub_is_not_cut_either(base, tmp_path, monkeypatch):
    (base / "connection").mkdir()
    (base / "connection" / "connection.json").write_text("{}")
    put_into_cache(base, tmp_path / "cache", monkeypatch)
    ended = prepare("org/name", tmp_path / "cut", write_rows(tmp_path / "rows.jsonl"))
    assert ended.status == 2
    assert "org/name has a connection" in " ".join(ended.err.split())
