"""Which settings count when a command goes on with what is there, and how those that differ are named."""

import dataclasses

import pytest

from cctuning.commands import schemas
from cctuning.commands.registry import COMMANDS
from cctuning.commands.schemas import TrainRecipe
from cctuning.settings.changes import (
    ROUNDING,
    WITHOUT_EFFECT,
    changed_settings,
    other_settings,
    rounding_note,
    rows_of_a_step,
)


def test_settings_of_groups_and_those_that_one_side_lacks_are_named():
    saved = {"seed": 1, "lora": {"r": 16, "alpha": 32}, "gone": 1, "same": [1, 2]}
    wanted = {"lora": {"alpha": 32, "r": 4}, "seed": 1, "new": "x", "same": [1, 2]}
    for command in WITHOUT_EFFECT:
        assert changed_settings(command, saved, wanted) == [
            "gone: 1 -> not set",
            "lora.r: 16 -> 4",
            "new: not set -> 'x'",
        ]
        assert changed_settings(command, saved, saved) == []


@pytest.mark.parametrize("command", WITHOUT_EFFECT)
def test_settings_without_effect_may_differ_and_those_that_round_are_told(command):
    names = sorted(WITHOUT_EFFECT[command] - {"total_batch_size"})
    saved, wanted = dict.fromkeys(names, 1), dict.fromkeys(names, 2)
    if command == "train":
        wanted["gradient_accumulation_steps"] = saved["per_device_train_batch_size"] = 4
        wanted["per_device_train_batch_size"] = saved["gradient_accumulation_steps"] = 2
    assert changed_settings(command, saved | {"other": 1}, wanted | {"other": 2}) == ["other: 1 -> 2"]
    note = rounding_note(command, saved, wanted)
    assert {name for name in names if f"{name}: " in note} == ROUNDING[command] - {"total_batch_size"}
    assert rounding_note(command, saved, saved) == ""


BATCH = {
    "total_batch_size": 16,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": None,
    "gradient_checkpointing": True,
    "gradient_checkpointing_reentrant": False,
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"per_device_train_batch_size": 1}, []),
        ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 16}, []),
        ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, ["rows_of_a_step: 16 -> 8"]),
        ({"total_batch_size": 8}, ["rows_of_a_step: 16 -> 8"]),
        ({"gradient_checkpointing": False}, []),
        ({"gradient_checkpointing_reentrant": True}, ["gradient_checkpointing_reentrant: False -> True"]),
        ({"gradient_checkpointing": False, "gradient_checkpointing_reentrant": True}, []),
    ],
)
def test_batches_of_a_training_may_differ_where_a_step_has_the_same_rows(changes, named):
    assert changed_settings("train", BATCH, BATCH | changes) == named


def test_rows_of_a_step_on_several_processes():
    """Passes that are given are passes of each process; what is written down of a run counts them all."""
    eight = BATCH | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}
    assert rows_of_a_step(eight, 8) == rows_of_a_step(BATCH, 8) == 16
    written = {"rows_of_a_step": 16}
    assert changed_settings("train", BATCH | written, eight | written) == []


@pytest.mark.parametrize(
    ("command", "schema"),
    [
        ("train", "TrainRecipe"),
        ("fit", "FitRecipe"),
        ("evaluate", "EvaluateRecipe"),
        ("probe", "ProbeRecipe"),
    ],
)
def test_every_setting_without_effect_is_one_of_its_command(command, schema):
    keys = {field.name for field in dataclasses.fields(getattr(schemas, schema))}
    assert WITHOUT_EFFECT[command] - {"run_name", "resume"} <= keys
    assert WITHOUT_EFFECT[command].isdisjoint({"seed", "dtype", "data", "template"})


def test_the_message_says_what_differs_and_what_to_do():
    said = other_settings("out holds a run", ["seed: 1 -> 2"], "Choose another output_dir")
    assert said.splitlines() == [
        "out holds a run with other settings:",
        "  seed: 1 -> 2",
        "Choose another output_dir",
    ]
    older = changed_settings("fit", {}, {"new": 1})
    assert "unknown to the version" in other_settings("out holds a run", older, "Remove it")


def test_of_an_alignment_the_rows_of_a_pass_may_not_change():
    sizes = [{"total_batch_size": 8, "per_device_train_batch_size": size} for size in (2, 4)]
    assert changed_settings("train", *sizes) == []
    aligned = [{**settings, "connection": {"alignment": 0.5}} for settings in sizes]
    assert changed_settings("train", *aligned) == ["rows_of_a_pass: 2 -> 4"]
    without = [{**settings, "connection": {"alignment": 0.0}} for settings in sizes]
    assert changed_settings("train", *without) == []


REQUIRED = {
    "train": {"model_name_or_path": "m", "data": ["d"]},
    "fit": {},
    "evaluate": {"model": "m", "benchmarks": ["b"]},
    "probe": {"model": "m", "benchmarks": ["b"]},
}


@pytest.mark.parametrize("command", REQUIRED)
def test_a_recipe_of_before_there_was_a_key_has_what_it_stood_for_then(command):
    schema = COMMANDS[command].schema
    now = dataclasses.asdict(schema(**REQUIRED[command]))
    older = {key: [less(now, key)] for key in now}
    for group, value in now.items():
        if isinstance(value, dict):
            older[group] += [{**now, group: less(value, key)} for key in value]
    changed = {
        key: changes
        for key, all_saved in older.items()
        if (changes := [changed_settings(command, saved, now, schema=schema) for saved in all_saved])
        != [[]] * len(all_saved)
    }
    assert changed.pop("control", None) == ([["control: False -> True"]] if command == "probe" else None)
    assert changed.keys() == REQUIRED[command].keys() - {"model"}  # which is compared by what is in it


def less(settings, key):
    return {name: value for name, value in settings.items() if name != key}


def test_a_key_that_an_older_recipe_lacks_is_named_where_it_is_not_as_it_was():
    now = dataclasses.asdict(TrainRecipe(**REQUIRED["train"]))
    old = {**less(now, "streaming"), "connection": less(now["connection"], "turns"), "gone": 1}
    now |= {"streaming": True, "connection": {**now["connection"], "turns": "all"}}
    assert changed_settings("train", old, now, schema=TrainRecipe) == [
        "connection.turns: 'last' -> 'all'",
        "gone: 1 -> not set",
        "streaming: False -> True",
    ]
