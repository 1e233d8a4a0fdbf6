import json
import shutil

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from cctuning.pretrained import identity
from cctuning.pretrained.identity import check_same_base, comparable, identity_of, model_name
from cctuning.pretrained.kinds import ModelError

FILES = {
    "config": "config.json",
    "generation_config": "generation_config.json",
    "tokenizer": "chat_template.jinja",
    "code": "modeling_own.py",
}
CONNECTION = {"config": "connection/connection.json", "weights": "connection/connection.safetensors"}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "connection").mkdir()
    for name in (*FILES.values(), *CONNECTION.values(), "tokenizer.json"):
        (folder / name).write_text("{}")
    tensors = {"a": torch.zeros(3000, 4), "b": torch.zeros(2), "c": torch.zeros(5000, 4)}
    save_file(tensors, folder / "model.safetensors")
    return folder


def differing(one, other):
    return {part for part in one.keys() | other.keys() if one.get(part) != other.get(part)}


def test_a_copy_under_another_name_is_the_same_model(model, tmp_path):
    before = identity_of(model)
    assert identity_of(shutil.copytree(model, tmp_path / "copy", copy_function=shutil.copyfile)) == before
    for name in ("README.md", "training_report.json", "recipe.yaml"):
        (model / name).write_text("beside the model")
    (model / "evaluation").mkdir()
    assert identity_of(model) == before == json.loads(json.dumps(before))


@pytest.mark.parametrize(("part", "name"), [*FILES.items(), *CONNECTION.items()])
def test_a_file_that_changes_is_another_part(model, part, name):
    before = identity_of(model)
    (model / name).write_text("{ }")
    assert differing(before, identity_of(model)) == {part}
    (model / name).unlink()
    assert differing(before, identity_of(model)) == {part}


@pytest.mark.parametrize("whole", [2**20, 1000])  # bytes that are read whole: all, and less than there are
@pytest.mark.parametrize(("tensor", "row"), [("a", 0), ("a", 1500), ("b", 1), ("c", 4999)])
def test_every_tensor_counts_in_whole_files_and_in_samples(model, monkeypatch, whole, tensor, row):
    monkeypatch.setattr(identity, "_WHOLE", whole)
    before = identity_of(model)
    tensors = {"a": torch.zeros(3000, 4), "b": torch.zeros(2), "c": torch.zeros(5000, 4)}
    tensors[tensor][row] = 1
    save_file(tensors, model / "model.safetensors")
    assert differing(before, identity_of(model)) == {"weights"}


def test_of_a_large_file_a_small_part_is_read(model, monkeypatch):
    monkeypatch.setattr(identity, "_WHOLE", 1000)
    (model / "model.bin").write_bytes(bytes(range(250)) * 10_000)  # a file of CTranslate2
    for name in ("model.safetensors", "model.bin"):
        with (model / name).open("rb") as file:
            read = [len(block) for block in identity._read(file)]
        assert len(read) > 4 and sum(read) < (model / name).stat().st_size
    before = identity_of(model)
    (model / "model.bin").write_bytes(bytes(range(1, 251)) * 10_000)
    assert differing(before, identity_of(model)) == {"weights"}


def test_an_adapter_is_its_base_too(model, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"base_model_name_or_path": str(model), "revision": None}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    before, name = identity_of(adapter), model_name(adapter)
    assert before["base"] == {"name": str(model), **identity_of(model)}
    (model / "config.json").write_text("{ }")
    after = identity_of(adapter)
    assert differing(before, after) == {"base"}
    assert differing(before["base"], after["base"]) == {"config"}
    assert model_name(adapter) != name
    other = shutil.copytree(model, tmp_path / "other")
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(other)}))
    assert differing(after, identity_of(adapter)) == {"base", "config"}


def test_an_adapter_runs_on_the_base_that_it_was_trained_on(model, tmp_path):
    check_same_base(tmp_path, str(model), None)  # of somebody who does not say
    trained_on = {"base_model": identity_of(model)}
    (tmp_path / identity.ORIGIN_FILE).write_text(json.dumps(trained_on))
    (model / "chat_template.jinja").write_text("the run has its own")
    check_same_base(tmp_path, str(model), None)
    check_same_base(tmp_path, "org/the-same-on-the-hub", None)
    (model / "config.json").write_text("{ }")
    with pytest.raises(ModelError, match=r"another model than it was trained on \(config\)"):
        check_same_base(tmp_path, str(model), None)


def test_a_hub_name_is_the_commit_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--org--name"
    (repository / "refs").mkdir(parents=True)
    for branch, commit in (("main", "a" * 40), ("old", "b" * 40)):
        (repository / "refs" / branch).write_text(commit)
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text("{}")
    assert identity_of("org/name") == {"name": "org/name", "commit": "a" * 40}
    assert identity_of("org/name", revision="old")["commit"] == "b" * 40
    assert identity_of("org/other")["commit"] is None
    before = model_name("org/name")
    (repository / "refs" / "main").write_text("b" * 40)
    assert model_name("org/name") != before and before.startswith("org/name@")


def test_a_commit_that_only_one_side_knows_is_not_compared():
    then = {"weights": "a", "base": {"name": "org/name", "commit": "abc"}}
    now = {"weights": "b", "base": {"name": "org/name", "commit": None}}
    assert comparable(then, now) == {"weights": "a", "base": {"name": "org/name"}}
    assert comparable(now, then) == {"weights": "b", "base": {"name": "org/name"}}
    assert comparable({"code": "a"}, {}) == {"code": "a"}  # a part that is gone is a change
