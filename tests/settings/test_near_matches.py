import re

import pytest

from cctuning.commands.registry import COMMANDS
from cctuning.commands.schemas import (
    ChatRecipe,
    EvaluateRecipe,
    FitRecipe,
    ProbeRecipe,
    TrainRecipe,
    VisualizeRecipe,
)
from cctuning.settings.aliases import ALIASES, NOT_HERE, OTHER_NAMES
from cctuning.settings.assignments import COMMAND_LINE, UnknownKeysError, flatten
from cctuning.settings.keys import keys_of
from cctuning.settings.near_matches import did_you_mean, missing_file, nearest

KEYS = ["learning_rate", "num_train_epochs", "connection.pooling", "lora.r", "seed"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rat", "learning_rate"),
        ("LEARNING_RATE", "learning_rate"),
        ("pooling", "connection.pooling"),
        ("connection.poling", "connection.pooling"),
        ("epochs", "num_train_epochs"),
        ("lr", "learning_rate"),
        ("lora_rank", "lora.r"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name(typed, meant):
    assert nearest(typed, KEYS) == meant


def test_a_file_that_is_missing_is_near_to_one_of_a_like_name_whatever_their_ending(tmp_path):
    for name in ("empty.jsonl", "capitals.yaml", "mine.json"):
        (tmp_path / name).touch()
    (tmp_path / "capitals").mkdir()
    near = {"capital.yaml": "capitals.yaml", "capitls": "capitals", "mine.jsonl": "mine.json"}
    for typed, meant in near.items():
        assert missing_file(tmp_path / typed).endswith(f"does not exist; did you mean '{meant}'?")
    assert missing_file(tmp_path / "gone.jsonl") == f"{tmp_path}/gone.jsonl does not exist"
    assert "nor does its folder" in missing_file(tmp_path / "no/such.yaml")


def test_the_spelling_of_the_known_name_is_kept():
    assert did_you_mean("readme.MD", ["README.md"]) == "; did you mean 'README.md'?"
    assert did_you_mean("x", []) == ""


def test_what_other_programs_say_leads_to_settings_that_exist_and_is_none_itself():
    train = keys_of(TrainRecipe)
    assert set(OTHER_NAMES) <= {
        *train,
        *(key for schema in (FitRecipe, ChatRecipe, EvaluateRecipe) for key in keys_of(schema)),
    }
    for ours, others in OTHER_NAMES.items():
        for other in others.split():
            assert other not in train or ours not in train, other
            assert ours not in train or nearest(other.upper(), train) == ours


# A setting of LLaMA-Factory, axolotl, TRL or lm-evaluation-harness, and what is to be said of it.
ELSEWHERE = {
    "packing": "because it joins rows",
    "sample_packing": "because it joins rows",
    "Deepspeed": "instead the launcher",
    "flash_attn": "instead attn_implementation=flash_attention_2",
    "warmup-steps": "instead warmup_ratio",
    "finetuning_type": "instead lora.enabled=true",
    "tasks": "instead benchmarks=NAME of cctuning evaluate",
    "model_args": "of cctuning evaluate",
}


@pytest.mark.parametrize(("typed", "said"), ELSEWHERE.items())
def test_what_there_is_none_of_is_known_with_its_reason(typed, said):
    with pytest.raises(UnknownKeysError) as error:
        list(flatten({typed: "1"}, COMMAND_LINE, keys_of(TrainRecipe)))
    assert f"unknown key {typed!r}" in str(error.value) and said in str(error.value)
    assert "did you mean" not in str(error.value)


@pytest.mark.parametrize("recipe", [ProbeRecipe, FitRecipe, VisualizeRecipe])
def test_vllm_gives_no_outputs_inside_of_layers(recipe):
    with pytest.raises(UnknownKeysError, match=r"'engine'.*vLLM"):
        list(flatten({"engine": "vllm"}, COMMAND_LINE, keys_of(recipe)))


def test_a_setting_under_another_name_is_that_where_the_command_has_it():
    with pytest.raises(UnknownKeysError, match="did you mean 'benchmarks'"):
        list(flatten({"tasks": "1"}, COMMAND_LINE, keys_of(EvaluateRecipe)))


def test_reasons_name_settings_that_exist_and_are_about_none():
    every = {key for command in COMMANDS.values() for key in keys_of(command.schema)}
    train = keys_of(TrainRecipe)
    for name, reason in NOT_HERE.items():
        assert reason.startswith(("because ", "instead ")), reason
        assert name not in train and not any((name, ours) in ALIASES for ours in train), name
        named = {found.rstrip("=") for found in re.findall(r"[a-z][a-z0-9_.]*=", reason)}
        assert named <= every, (name, named - every)


def test_all_unknown_keys_of_a_file_are_told_at_once():
    """As somebody brings a recipe of another program."""
    values = {"stage": "sft", "lora_rank": 8, "learning_rate": 1e-4, "zzz": 1}
    with pytest.raises(UnknownKeysError) as error:
        list(flatten(values, "in theirs.yaml", keys_of(TrainRecipe)))
    said = ["'stage' (in theirs.yaml)", "did you mean 'lora.r'", "'zzz' (in theirs.yaml)"]
    assert all(part in line for part, line in zip(said, str(error.value).splitlines(), strict=True))
