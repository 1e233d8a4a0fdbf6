"""Which steps count as done, on folders made by hand."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cctuning.commands.schemas import StudyRecipe
from cctuning.commands.studies.plan import make_plan
from cctuning.commands.studies.state import states_of
from cctuning.evaluation.asking.sample_files import RESULTS_FILE
from cctuning.evaluation.asking.store import SETTINGS_FILE
from cctuning.pretrained.identity import ORIGIN_FILE, identity_of
from cctuning.training.runs import FINISHED_FILE, FIT_REPORT_FILE, RunError


def steps_in(folder, **settings):
    return make_plan(StudyRecipe(recipes=["llama31_aya"], runs=str(folder), **settings))[0]


def finish(step, at):
    """What a step leaves at its end, at a time in seconds."""
    step.output.mkdir(parents=True, exist_ok=True)
    if step.kind == "fit":
        step.mark.write_text(json.dumps({"pairs": 9, "settings": step.settings}))
    else:
        (step.output / "recipe.yaml").write_text(yaml.safe_dump(step.settings))
        step.mark.write_text("{}")
    os.utime(step.mark, (at, at))


@pytest.fixture
def steps(tmp_path):
    steps = steps_in(tmp_path)
    for time, step in enumerate(steps, 1000):
        finish(step, time)
    return steps


def done(steps):
    return [state.done for state in states_of(steps).values()]


def test_marks_are_the_files_that_the_scripts_write_last(steps):
    assert [step.mark.name for step in steps] == [FINISHED_FILE, FIT_REPORT_FILE, RESULTS_FILE]


def test_complete_results_are_done(steps):
    assert done(steps) == [True, True, True]


def test_nothing_there_is_not_outdated(tmp_path):
    states = states_of(steps_in(tmp_path))
    assert not any(state.done or state.outdated for state in states.values())


@pytest.mark.parametrize(
    ("missing", "expected"), [(0, [False] * 3), (1, [True, False, False]), (2, [True, True, False])]
)
def test_what_lacks_its_mark_is_to_do_and_what_needs_it_too(steps, missing, expected):
    steps[missing].mark.unlink()
    assert done(steps) == expected


def test_what_is_older_than_what_it_was_made_of_is_outdated(steps):
    os.utime(steps[0].mark, (2000, 2000))  # trained anew
    states = states_of(steps)
    assert [state.done for state in states.values()] == [True, False, False]
    assert [state.outdated for state in states.values()] == [False, True, True]


def test_an_evaluation_that_has_begun_since_goes_on(steps):
    _, fit, evaluation = steps
    os.utime(fit.mark, (2000, 2000))
    evaluation.mark.unlink()
    begun = evaluation.output / SETTINGS_FILE
    begun.write_text("{}")
    os.utime(begun, (1500, 1500))
    assert states_of(steps)[evaluation.name].outdated  # responses of the old matrix
    os.utime(begun, (2500, 2500))
    assert not states_of(steps)[evaluation.name].outdated


def test_results_of_before_there_was_a_setting_are_done_and_made_anew_where_it_is_used(tmp_path, steps):
    for step, setting in zip(steps, ("mask_history", "layers", "shots_seed"), strict=True):
        known = {name: value for name, value in step.settings.items() if name != setting}
        finish(replace(step, settings=known), step.mark.stat().st_mtime)
    assert done(steps) == [True, True, True]
    [fit] = [step for step in steps_in(tmp_path, fit=["layers=each"]) if step.kind == "fit"]
    assert states_of(steps_in(tmp_path, fit=["layers=each"]))[fit.name].changed == ["layers: 'all' -> 'each'"]


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"train": ["learning_rate=3e-5"]}, {"train": ["learning_rate: 1e-05 -> 3e-05"]}),
        ({"fit": ["ridge=2"]}, {"fit": ["ridge: None -> 2.0"]}),
        ({"evaluate": ["limit=20"]}, {"evaluate": ["limit: None -> 20"]}),
    ],
)
def test_other_settings_of_a_complete_result_are_named(tmp_path, steps, settings, changed):
    now = steps_in(tmp_path, **settings)
    states = states_of(now)
    assert {step.kind: states[step.name].changed for step in now if states[step.name].changed} == changed
    assert not all(state.done for state in states.values())


def test_another_base_model_under_the_same_name_is_named(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    steps = steps_in(tmp_path / "runs", train=[f"model_name_or_path={base}"])
    for time, step in enumerate(steps, 1000):
        finish(step, time)
    parts = identity_of(base)
    (steps[0].output / ORIGIN_FILE).write_text(json.dumps({"base_model": parts}))
    assert done(steps) == [True, True, True]
    (base / "config.json").write_text("{ }")
    [line] = states_of(steps)["llama31_aya/train"].changed
    assert line.startswith("model_parts.config: ")


@pytest.mark.parametrize(("number", "mark"), [(1, {"model_parts": {}}), (2, {"config": {"model_parts": {}}})])
def test_another_model_in_the_folder_of_one_is_named(steps, number, mark):
    step = steps[number]
    folder = Path(step.settings["model"])
    (folder / "config.json").write_text("{}")
    for content in (mark, mark.get("config", {})):
        if "model_parts" in content:
            content["model_parts"] = identity_of(folder)
    step.mark.write_text(json.dumps({"settings": step.settings, **mark}))
    os.utime(step.mark, (1000 + number, 1000 + number))
    assert states_of(steps)[step.name].done
    (folder / "config.json").write_text("{ }")
    assert [line.split(":")[0] for line in states_of(steps)[step.name].changed] == ["model_parts.config"]


@pytest.mark.parametrize(
    "settings",
    [
        {"train": ["report_to=[tensorboard]", "dataloader_num_workers=2"]},
        {"fit": ["batch_size=1"]},
        {"evaluate": ["batch_size=1", "batch_tokens=64"]},
    ],
)
def test_settings_that_change_no_result_may_differ(tmp_path, steps, settings):
    assert done(steps_in(tmp_path, **settings)) == [True, True, True]


def test_a_run_may_be_done_anew_where_that_is_asked_for(tmp_path, steps):
    states = list(states_of(steps_in(tmp_path, train=["learning_rate=3e-5", "resume=never"])).values())
    assert (states[0].done, states[0].changed) == (False, ())
    assert done(steps_in(tmp_path, train=["resume=never"])) == [True, True, True]  # it is done as asked


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}"])
def test_a_result_that_does_not_say_how_it_was_made(steps, content):
    steps[1].mark.write_text(content)
    with pytest.raises(RunError, match=r"transform_report.json.*remove"):
        states_of(steps)


def test_a_result_without_its_recipe(steps):
    Path(steps[0].output / "recipe.yaml").unlink()
    with pytest.raises(RunError, match=r"recipe.yaml.*remove"):
        states_of(steps)
