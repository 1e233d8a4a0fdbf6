"""What is found on disk when an evaluation goes on."""

import json

import pytest

from cctuning.evaluation.asking.store import (
    SETTINGS_FILE,
    ResponseFile,
    ResumeError,
    StoredTask,
    open_folder,
    read_task,
    write_samples,
)
from cctuning.tools.marks import UNFINISHED

HOW = {"last_tokens": "b", "new_tokens": 1, "stopped": True, "connected": False, "layer": None}
BATCHES = [
    [{"doc_id": 0, "response": "a\u2028b\n", **HOW}, {"doc_id": 1, "response": "é", **HOW}],
    [{"doc_id": 2, "response": "", **HOW}],
]
TASK = StoredTask("xnli", "sw", "abc", {})


def test_whole_batches_are_recovered_and_the_rest_is_cut_off(tmp_path):
    file = ResponseFile(tmp_path, "xnli_sw")
    sizes = [0]
    for batch in BATCHES:
        file.append(batch)
        sizes.append(file.path.stat().st_size)
    content = file.path.read_bytes()
    for end in range(len(content) + 1):
        file.path.write_bytes(content[:end])
        whole = sum(end >= size for size in sizes[1:])
        assert file.recover() == [response for batch in BATCHES[:whole] for response in batch]
        assert file.path.stat().st_size == sizes[whole]


@pytest.mark.parametrize("line", ["{", "7", '{"doc_id": 0}'])
def test_a_line_that_is_no_response_is_named(tmp_path, line):
    file = ResponseFile(tmp_path, "xnli_sw")
    file.append(BATCHES[0])
    with file.path.open("a", encoding="utf-8") as added:
        added.write(line + "\n")
    with pytest.raises(ResumeError, match=r"samples_xnli_sw\.jsonl\.part, line 3: is no line of responses"):
        file.recover()


def test_samples_take_the_place_of_responses(tmp_path):
    file = ResponseFile(tmp_path, "xnli_sw")
    file.append(BATCHES[0])
    assert read_task(tmp_path, "xnli_sw") == []
    values = {"scores": {}, "doc": {}, "target": [], "resps": [["a"]]}
    samples = [response | values for response in BATCHES[0]]
    write_samples(tmp_path, "xnli_sw", samples)
    assert read_task(tmp_path, "xnli_sw") == samples
    assert not file.path.exists()


def test_a_folder_takes_more_tasks_and_no_other_settings(tmp_path):
    assert open_folder(tmp_path, {"mode": "none"}, {"xnli_sw": TASK}) == {"xnli_sw": TASK}
    other = StoredTask("mkqa", "sw", "def", {"garbled": [1, "x"]})
    both = {"xnli_sw": TASK, "mkqa_sw": other}
    assert open_folder(tmp_path, {"mode": "none"}, {"mkqa_sw": other}) == both
    with pytest.raises(ResumeError, match="mode: 'none' -> 'bilingual'"):
        open_folder(tmp_path, {"mode": "bilingual"}, {})
    with pytest.raises(ResumeError, match="xnli_sw: other questions"):
        open_folder(tmp_path, {"mode": "none"}, {"xnli_sw": StoredTask("xnli", "sw", "new", {})})
    assert open_folder(tmp_path, {"mode": "bilingual"}, {"xnli_sw": TASK}, resume="never") == {
        "xnli_sw": TASK
    }


def test_starting_again_removes_what_was_made_and_nothing_else(tmp_path):
    open_folder(tmp_path, {}, {"xnli_sw": TASK})
    ResponseFile(tmp_path, "xnli_sw").append(BATCHES[0])
    write_samples(tmp_path, "mkqa_sw", BATCHES[1])
    (tmp_path / "notes.txt").write_text("mine")
    open_folder(tmp_path, {}, {}, resume="never")
    assert sorted(path.name for path in tmp_path.iterdir()) == [UNFINISHED, SETTINGS_FILE, "notes.txt"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {}, "tasks": {"x": {"y": 1}}}', "\udc80"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / SETTINGS_FILE).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ResumeError, match=r"evaluation\.json was not written by an evaluation or is damaged"):
        open_folder(tmp_path, {}, {})


def test_what_it_wrote_is_json_for_people(tmp_path):
    open_folder(tmp_path, {"model": "ü"}, {"xnli_sw": TASK})
    text = (tmp_path / SETTINGS_FILE).read_text(encoding="utf-8")
    assert "ü" in text
    assert json.loads(text)["tasks"]["xnli_sw"]["benchmark"] == "xnli"
