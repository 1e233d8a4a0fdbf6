import json
import os

import pytest
import yaml

from cctuning.distributed.engines import Engine
from cctuning.tools.marks import UNFINISHED
from cctuning.training.checkpoints import Checkpoint, CheckpointError, seal
from cctuning.training.runs import (
    RunError,
    check_base_model,
    check_same_engine,
    checkpoint_to_resume,
    clear_output_dir,
    find_newest_run,
    read_run_recipe,
)

RECIPE = {"learning_rate": 1e-5, "seed": 1, "connection": {"pooling": "mean", "layer": None}, "data": ["a"]}


def a_run(folder, *, finished=False, connected=True, time=None, recipe=None, checkpoints=()):
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe or RECIPE))
    if connected:
        (folder / "connection").mkdir()
        (folder / "connection" / "connection.json").write_text("{}")
    if finished:
        (folder / "training_report.json").write_text(json.dumps({"steps": 12}))
        if time:
            os.utime(folder / "training_report.json", (time, time))
    for step in checkpoints:
        (folder / f"checkpoint-{step}").mkdir()
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
        seal(folder / f"checkpoint-{step}", step=step, engine="one", processes=1)
    return folder


def test_the_newest_run_is_the_connected_one_that_finished_last(tmp_path):
    a_run(tmp_path / "old", finished=True, time=1_000)
    newest = a_run(tmp_path / "group" / "deep", finished=True, time=3_000)
    a_run(tmp_path / "between", finished=True, time=2_000)
    a_run(tmp_path / "sft", finished=True, connected=False, time=9_000)
    a_run(tmp_path / "unfinished")
    assert find_newest_run(tmp_path) == newest


def test_without_a_finished_run_the_error_says_what_there_is(tmp_path):
    with pytest.raises(RunError, match=r"no finished run under .*train with cctuning train first"):
        find_newest_run(tmp_path / "nothing")
    begun = a_run(tmp_path / "begun")
    with pytest.raises(RunError, match=rf"{begun} has begun and not finished"):
        find_newest_run(tmp_path)
    a_run(tmp_path / "sft", finished=True, connected=False)
    with pytest.raises(RunError, match=r"without a connection \(ML-SFT\)"):
        find_newest_run(tmp_path)


def test_the_recipe_of_a_run_is_read_and_its_absence_is_an_error(tmp_path):
    assert read_run_recipe(a_run(tmp_path / "run")) == RECIPE
    with pytest.raises(RunError, match=r"recipe.yaml is missing: .*was not written by cctuning train"):
        read_run_recipe(tmp_path)


def test_a_new_folder_has_nothing_to_resume(tmp_path):
    assert checkpoint_to_resume(tmp_path / "new", RECIPE, "auto") is None
    assert checkpoint_to_resume(tmp_path / "new", RECIPE, "never") is None
    assert not (tmp_path / "new").exists()


def test_the_newest_checkpoint_is_by_number_not_by_name(tmp_path):
    folder = a_run(tmp_path / "run", checkpoints=(2, 10, 9))
    assert checkpoint_to_resume(folder, RECIPE, "auto").path == folder / "checkpoint-10"


def test_an_incomplete_checkpoint_is_told_of_and_passed_over(tmp_path):
    folder = a_run(tmp_path / "run", checkpoints=(2, 4))
    (folder / "checkpoint-4" / "complete.json").unlink()
    told = []
    assert checkpoint_to_resume(folder, RECIPE, "auto", warn=told.append).step == 2
    assert told == [
        f"passed over {folder}/checkpoint-4: complete.json is missing, it was not written to its end"
    ]


def test_a_finished_run_is_refused(tmp_path):
    folder = a_run(tmp_path / "run", finished=True, checkpoints=(12,))
    with pytest.raises(RunError, match=r"holds a finished run \(12 steps\).*resume=never"):
        checkpoint_to_resume(folder, RECIPE, "auto")
    (folder / "training_report.json").write_text("")
    with pytest.raises(ValueError, match=r"training_report\.json"):
        checkpoint_to_resume(folder, RECIPE, "auto")


def test_another_recipe_is_refused_with_every_difference_shown(tmp_path):
    folder = a_run(tmp_path / "run", checkpoints=(2,))
    now = {**RECIPE, "learning_rate": 1e-4, "connection": {"pooling": "layer", "layer": 3}, "new": True}
    with pytest.raises(RunError) as caught:
        checkpoint_to_resume(folder, now, "auto")
    lines = str(caught.value).splitlines()
    assert lines[1:-2] == [
        "  connection.layer: None -> 3",
        "  connection.pooling: 'mean' -> 'layer'",
        "  learning_rate: 1e-05 -> 0.0001",
        "  new: not set -> True",
    ]
    assert "resume=never" in lines[-1]
    assert (folder / "checkpoint-2").is_dir()


def test_a_run_that_has_logged_is_refused_too_and_one_that_has_done_nothing_is_not(tmp_path):
    folder = a_run(tmp_path / "run")
    (folder / "metrics.jsonl").write_text("")
    assert checkpoint_to_resume(folder, {**RECIPE, "seed": 2}, "auto") is None
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(RunError, match=r"seed: 1 -> 2"):
        checkpoint_to_resume(folder, {**RECIPE, "seed": 2}, "auto")


def test_a_checkpoint_goes_on_with_the_engine_that_wrote_it(tmp_path):
    def note(before, engine):
        return check_same_engine(Checkpoint(tmp_path, 3, before.name, before.processes), engine)

    assert note(Engine("zero3", 8), Engine("zero3", 8, offload=True)) == ""
    for before, after in (("one", 1), ("ddp", 4)), (("ddp", 4), ("ddp", 8)), (("fsdp2", 2), ("fsdp2", 4)):
        assert "the noise is not" in note(Engine(*before), Engine(*after)), (before, after)
    for before, after in (("zero2", 2), ("zero2", 4)), (("ddp", 2), ("zero2", 2)), (("fsdp2", 2), ("ddp", 2)):
        with pytest.raises(
            RunError, match=r"was written by .* on 2 processes, and this run is .* same engine"
        ):
            note(Engine(*before), Engine(*after))


@pytest.mark.parametrize("key", ["report_to", "run_name", "resume", "output_dir"])
def test_what_does_not_change_the_result_may_differ(tmp_path, key):
    folder = a_run(tmp_path / "run", checkpoints=(2,), recipe={**RECIPE, key: "before"})
    assert checkpoint_to_resume(folder, {**RECIPE, key: "now"}, "auto").step == 2


def test_a_base_model_that_would_be_overwritten_or_is_no_plain_model_is_refused(tmp_path, monkeypatch):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    check_base_model(str(base), tmp_path / "out")
    check_base_model("org/name", "org/name")  # of the hub
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text("{}")
    with pytest.raises(RunError, match=r"output_dir=.*other holds another model"):
        check_base_model(str(base), tmp_path / "other")
    (tmp_path / "other/recipe.yaml").write_text("")
    check_base_model(str(base), tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="would be overwritten"):
        check_base_model("base", str(base) + "/")
    with pytest.raises(RunError, match=r"lies in output_dir=.*old checkpoints are removed"):
        check_base_model("base", tmp_path)
    (base / "adapter_config.json").write_text("{}")
    with pytest.raises(RunError, match=r"LoRA adapter: train from its base"):
        check_base_model("base", "out")
    (base / "config.json").write_text(json.dumps({"cctuning": {}}))
    with pytest.raises(RunError, match=r"exported model: train from the run"):
        check_base_model("base", "out")


def test_a_checkpoint_may_be_named(tmp_path):
    folder = a_run(tmp_path / "run", checkpoints=(3,))
    named = str(folder / "checkpoint-3")
    assert str(checkpoint_to_resume(tmp_path / "other", RECIPE, named).path) == named
    with pytest.raises(RunError, match="other settings"):
        checkpoint_to_resume(folder, {**RECIPE, "seed": 12345}, named)
    with pytest.raises(CheckpointError, match=r"^resume=.*: complete.json is missing"):
        checkpoint_to_resume(tmp_path / "other", RECIPE, str(tmp_path))


@pytest.mark.parametrize("finished", [False, True])
def test_a_checkpoint_from_elsewhere_is_none_for_a_folder_that_holds_a_run(tmp_path, finished):
    named = str(a_run(tmp_path / "run", checkpoints=(3,)) / "checkpoint-3")
    other = a_run(tmp_path / "other", checkpoints=() if finished else (300,), finished=finished)
    with pytest.raises(
        RunError, match=r"other holds a run already, and resume=.*checkpoint-3 lies elsewhere"
    ):
        checkpoint_to_resume(other, RECIPE, named)


def test_nothing_is_deleted_in_a_folder_that_no_run_wrote(tmp_path):
    (tmp_path / "model.safetensors").write_text("a base model")
    assert checkpoint_to_resume(tmp_path, RECIPE, "never") is None
    clear_output_dir(tmp_path, "never")
    assert (tmp_path / "model.safetensors").exists()


def test_a_run_that_goes_on_is_no_longer_finished(tmp_path):
    folder = a_run(tmp_path / "run", finished=True, checkpoints=(2,))
    clear_output_dir(folder, "auto")
    assert sorted(path.name for path in folder.iterdir() if path.name != "connection") == [
        UNFINISHED,
        "checkpoint-2",
        "recipe.yaml",
    ]


def test_never_deletes_what_would_be_taken_for_the_new_run_and_nothing_else(tmp_path):
    folder = a_run(tmp_path / "run", finished=True, checkpoints=(2, 4))
    for name in ("adapter_config.json", "model-00001-of-00002.safetensors", "rejects.jsonl"):
        (folder / name).write_text("{}")
    (folder / "notes.txt").write_text("mine")
    for name, config in (("monolingual", {"cctuning": {}}), ("mine", {})):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    assert checkpoint_to_resume(folder, RECIPE, "never") is None
    clear_output_dir(folder, "never")
    assert sorted(path.name for path in folder.iterdir()) == [UNFINISHED, "mine", "notes.txt", "recipe.yaml"]
