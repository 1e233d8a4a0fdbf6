"""Which settings count when a command goes on with what is there, and how those that differ are named."""

import dataclasses

import pytest

from cctuning.commands import schemas
from cctuning.settings.changes import WITHOUT_EFFECT, changed_settings, other_settings


def test_settings_of_groups_and_those_that_one_side_lacks_are_named():
    saved = {"seed": 1, "lora": {"r": 16, "alpha": 32}, "gone": 1, "same": [1, 2]}
    wanted = {"lora": {"alpha": 32, "r": 4}, "seed": 1, "new": "x", "same": [1, 2]}
    assert changed_settings(saved, wanted) == ["gone: 1 -> None", "lora.r: 16 -> 4", "new: None -> 'x'"]
    assert changed_settings(saved, saved) == []


def test_settings_without_effect_may_differ():
    assert changed_settings({"a": 1, "b": 1}, {"a": 2, "b": 2}, without_effect=frozenset({"a"})) == [
        "b: 1 -> 2"
    ]


@pytest.mark.parametrize(
    ("command", "schema"), [("train", "TrainRecipe"), ("fit", "FitRecipe"), ("evaluate", "EvaluateRecipe")]
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
