"""The shipped recipes: they resolve, say what the papers say, and differ only where their names do."""

import dataclasses
import functools

import pytest

from cctuning.commands.registry import COMMANDS
from cctuning.commands.schemas import (
    OPTIMIZERS,
    SCHEDULES,
    ConnectionRecipe,
    ConnectionSettings,
    FitRecipe,
    StudyRecipe,
    TrainRecipe,
)
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.settings.assignments import RecipeError
from cctuning.settings.keys import keys_of
from cctuning.settings.recipe import load_recipe, recipe_from_call, recipe_settings
from cctuning.settings.recipe_files import RECIPES, recipe_files

OF_THE_PAPER = {
    "llama31": ("meta-llama/Llama-3.1-8B", "llama3"),
    "qwen25": ("Qwen/Qwen2.5-7B", "qwen"),
    "mistral": ("mistralai/Mistral-7B-v0.3", "mistral"),
}
MODELS = OF_THE_PAPER | {
    "gemma3_270m": ("google/gemma-3-270m", "plain"),
    "smollm2_135m": ("HuggingFaceTB/SmolLM2-135M-Instruct", "auto"),
}
PAPERS = {
    "total_batch_size": 16,
    "num_train_epochs": 3.0,
    "learning_rate": 1e-5,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "bf16": True,
    "cutoff_len": 1024,
}
NAMES_OF_THE_RUN = {"run_name", "output_dir"}
SETTINGS = ("en", "mt", "sdrrl")
_CENTRED = {"connection.centred": True, "connection.scale": 0.5, "connection.decision_maker_norm": True}
ABLATIONS = {
    "mean": {"connection.pooling": "mean"},
    "random": {"connection.pooling": "random"},
    "last_layer": {"connection.pooling": "layer", "connection.layer": -1},
    "attention": {"connection.sublayer": "attention"},
    "block": {"connection.sublayer": "block"},
    "centred": _CENTRED,
    "gated": _CENTRED | {"connection.gate": "scalar"},
    "aligned": {
        "connection.pooling": "layer",
        "connection.layer": -1,
        "connection.centred": True,
        "connection.alignment": 1.0,
    },
}
TRAINING = sorted(recipe_files(TrainRecipe, RECIPES))


@functools.cache
def resolve(name, *arguments):
    return load_recipe([f"recipe={name}", *arguments], TrainRecipe)


def values(recipe, prefix=""):
    """Every key with its value, dots in the names."""
    flat = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if dataclasses.is_dataclass(value):
            flat |= values(value, f"{prefix}{field.name}.")
        else:
            flat[prefix + field.name] = value
    return flat


def differences(one, other):
    one, other = values(resolve(one)), values(resolve(other))
    return {key: (one[key], other[key]) for key in one if one[key] != other[key]}


@pytest.mark.parametrize("name", TRAINING)
def test_every_shipped_recipe_resolves(name):
    assert resolve(name).output_dir == f"outputs/{name.rpartition('/')[2]}"


def test_recipes_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(["recipe=llama31_aya"], TrainRecipe) == resolve("llama31_aya")


@pytest.mark.parametrize("model", MODELS)
def test_the_papers_settings(model):
    recipe = resolve(f"{model}_aya")
    assert {key: getattr(recipe, key) for key in PAPERS} == PAPERS
    assert (recipe.model_name_or_path, recipe.template) == MODELS[model]
    assert recipe.connection.enabled
    assert recipe.connection.config() == ConnectionConfig()
    assert not recipe.lora.enabled


@pytest.mark.parametrize("model", MODELS)
def test_sft_is_the_same_run_without_the_connection(model):
    found = differences(f"{model}_aya", f"{model}_aya_sft")
    assert found.keys() == {"connection.enabled", *NAMES_OF_THE_RUN}
    assert found["connection.enabled"] == (True, False)


@pytest.mark.parametrize("model", MODELS)
def test_lora_differs_in_what_it_needs(model):
    found = differences(f"{model}_aya", f"{model}_aya_lora")
    assert found.keys() == {"lora.enabled", "learning_rate", "dtype", *NAMES_OF_THE_RUN}
    assert found["lora.enabled"] == (False, True)
    assert found["learning_rate"][1] > found["learning_rate"][0]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("model", MODELS)
def test_a_data_setting_adds_rows_with_and_without_the_connection(model, setting):
    found = differences(f"{model}_aya", f"settings/{model}_aya_{setting}")
    assert found.keys() == {"data", *NAMES_OF_THE_RUN}
    base = ["data/aya_parallel.jsonl"]
    own = f"_{model}" if setting == "sdrrl" else ""  # a model's own answers
    assert found["data"] == (base, [*base, f"data/aya_{setting}{own}.jsonl"])
    found = differences(f"settings/{model}_aya_{setting}", f"settings/{model}_aya_{setting}_sft")
    assert found.keys() == {"connection.enabled", *NAMES_OF_THE_RUN}
    assert found["connection.enabled"] == (True, False)


@pytest.mark.parametrize("model", OF_THE_PAPER)
def test_the_authors_code_differs_from_the_paper_in_prompts_and_batches(model):
    own = f"authors/{model}_authors"
    found = differences(f"{model}_aya", own)
    changed = {key: value for key, (_, value) in found.items() if key not in NAMES_OF_THE_RUN}
    template = f"authors_{MODELS[model][1].removesuffix('3')}"
    assert changed == {"template": template, "total_batch_size": 128, "per_device_train_batch_size": 16}
    assert resolve(own).accumulation_steps(8) == 1
    assert differences(own, f"{own}_sft").keys() == {"connection.enabled", *NAMES_OF_THE_RUN}
    for setting in SETTINGS:
        found = differences(own, f"{own}_{setting}")
        assert found.keys() == {"data", *NAMES_OF_THE_RUN}
        rows = f"sdrrl_{model}" if setting == "sdrrl" else setting
        assert found["data"][1] == [f"data/aya_parallel_{rows}.jsonl"]


@pytest.mark.parametrize("ablation", ABLATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_an_ablation_changes_what_it_is_named_after(model, ablation):
    found = differences(f"{model}_aya", f"ablations/{model}_aya_{ablation}")
    changed = {key: value for key, (_, value) in found.items() if key not in NAMES_OF_THE_RUN}
    assert changed == ABLATIONS[ablation]


def test_no_recipe_is_left_untested():
    settings = {
        f"settings/{model}_aya_{setting}{sft}"
        for model in MODELS
        for setting in SETTINGS
        for sft in ("", "_sft")
    }
    plain = {f"{model}_aya{method}" for model in MODELS for method in ("", "_sft", "_lora")}
    ablations = {f"ablations/{model}_aya_{ablation}" for model in MODELS for ablation in ABLATIONS}
    authors = {
        f"authors/{model}_authors{suffix}"
        for model in OF_THE_PAPER
        for suffix in ("", "_sft", "_en", "_mt", "_sdrrl")
    }
    assert set(TRAINING) == settings | plain | ablations | authors | {"tiny", "tiny_sft", "facts"}


def test_a_name_without_its_folder_is_named_with_it():
    with pytest.raises(RecipeError, match="did you mean 'settings/llama31_aya_mt'") as error:
        resolve("llama31_aya_mt")
    assert "accelerate/ddp" not in str(error.value)  # no recipe of train.py


@pytest.mark.parametrize("model", MODELS)
def test_the_models_differ_only_in_model_and_template(model):
    found = differences("llama31_aya", f"{model}_aya")
    assert found.keys() <= {"model_name_or_path", "template", *NAMES_OF_THE_RUN}


def test_no_line_stands_in_two_files_of_a_model():
    """What recipes share is in a base; a variant repeats nothing of it."""
    folders = ("", "settings", "ablations", "authors")
    files = [path for folder in folders for path in (RECIPES / folder).glob("MODEL_*")]
    assert len(files) == 20
    for path in files:
        lines = [
            line for line in path.read_text().splitlines() if not line.endswith(":")
        ]  # no name of a group
        base = next(line.removeprefix("base: ") for line in lines if line.startswith("base: "))
        names = (f"{base}.yaml", f"{base.replace('MODEL', 'llama31')}.yaml")
        found = [folder / name for folder in (path.parent, RECIPES) for name in names]
        assert not set(lines) & set(next(file for file in found if file.is_file()).read_text().splitlines())


def test_the_recipe_of_the_connection_is_that_of_the_model_and_more():
    recipe = ConnectionRecipe(pooling="layer", layer=-1, hard=False, final_temperature=0.1)
    assert recipe.config() == ConnectionConfig(pooling="layer", layer=-1, hard=False)


@pytest.mark.parametrize("schema", [TrainRecipe, FitRecipe, StudyRecipe])
def test_every_key_has_help(schema):
    assert [name for name, key in keys_of(schema).items() if not key.help] == []


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("connection.pooling=first", ["connection.pooling (on the command line)", "decision_maker, mean"]),
        ("connection.temperature=0", ["connection.temperature (on the command line)", "above 0"]),
        ("connection.pooling=layer", ["layer=None", "pooling='layer'"]),
        ("template=lama3", ["did you mean 'llama3'"]),
        ("on_bad_row=ignore", ["error | skip"]),
        ("report_to=[wandb,tensorbord]", ["did you mean 'tensorboard'"]),
        ("lr_scheduler_type=cosin", ["did you mean 'cosine'"]),
        ("optim=adamw_torc", ["did you mean 'adamw_torch'"]),
        ("resume=gone/checkpoint-3", ["auto | never | PATH"]),
        ("warmup_ratio=10", ["at most 1"]),
        ("model=x", ["did you mean 'model_name_or_path'"]),
    ],
)
def test_values_that_are_not_accepted(argument, parts):
    with pytest.raises(RecipeError) as error:
        resolve("tiny", argument)
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(("processes", "per_device", "steps"), [(1, 2, 8), (8, 2, 1), (4, 1, 4), (1, 16, 1)])
def test_the_total_batch_size_holds_on_any_number_of_processes(processes, per_device, steps):
    recipe = TrainRecipe("model", ["rows"], per_device_train_batch_size=per_device)
    assert recipe.accumulation_steps(processes) == steps
    assert processes * per_device * steps == recipe.total_batch_size


def test_a_total_batch_size_that_cannot_be_reached():
    with pytest.raises(ValueError, match="total_batch_size=16 is not a multiple of the 6 rows"):
        TrainRecipe("model", ["rows"]).accumulation_steps(3)
    with pytest.raises(ValueError, match="32 rows"):
        TrainRecipe("model", ["rows"]).accumulation_steps(16)


def test_given_accumulation_steps_are_taken():
    assert TrainRecipe("model", ["rows"], gradient_accumulation_steps=5).accumulation_steps(3) == 5


def test_a_fit_needs_no_arguments():
    assert load_recipe([], FitRecipe) == FitRecipe()
    assert load_recipe(["ridge=0", "data=a.jsonl"], FitRecipe) == FitRecipe(ridge=0.0, data=["a.jsonl"])


def test_the_connection_has_the_settings_and_defaults_of_the_model():
    def settings(schema):
        return {field.name: field.default for field in dataclasses.fields(schema)}

    assert settings(ConnectionSettings) == settings(ConnectionConfig)


@pytest.mark.parametrize("rule", [SCHEDULES, OPTIMIZERS])
def test_common_values_are_those_of_the_library(rule):
    assert set(rule.common) < set(rule.all_values())


def test_a_folder_that_follows_from_other_settings_follows_them_in_a_call():
    study = load_recipe(["recipe=tiny"], StudyRecipe, folder=RECIPES / "studies")
    moved = recipe_from_call(StudyRecipe, study, {"runs": "elsewhere"}, folder=RECIPES / "studies")
    assert moved == load_recipe(["recipe=tiny", "runs=elsewhere"], StudyRecipe, folder=RECIPES / "studies")


def test_arguments_of_a_template_are_shown_with_their_place():
    rows = recipe_settings(["recipe=tiny", "template_arguments.enable_thinking=false"], TrainRecipe)
    [(value, place)] = [row[1:] for row in rows if row[0] == "template_arguments"]
    assert "enable_thinking" in value and place == "on the command line"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["eval_data=x.jsonl", "eval_share=0.1"], "one of the two"),
        (["eval_steps=10"], "eval_data or eval_share"),
        (["load_best_model_at_end=true"], "eval_data or eval_share"),
        (["early_stopping_patience=2"], "eval_data or eval_share"),
        (["eval_share=0.1", "eval_steps=10", "load_best_model_at_end=true"], "save_strategy=steps"),
        (
            [
                *("eval_share=0.1", "eval_steps=10", "load_best_model_at_end=true"),
                *("save_strategy=steps", "save_steps=15"),
            ],
            "eval_steps=10",
        ),
        (["eval_share=0.1", "load_best_model_at_end=true", "save_strategy=steps"], "save_strategy=epoch"),
        (["connection.turns=all", "mask_history=false"], "mask_history"),
        (
            ["connection.centred=true", "connection.alignment=1", "per_device_train_batch_size=1"],
            "per_device_train_batch_size=1",
        ),
        (["load_in_4bit=true"], "lora.enabled=true"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(["model_name_or_path=m", "data=d.jsonl", *settings], TrainRecipe)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_keys_of_folders_say_that_they_name_a_path(command):
    of_folders = {"output_dir", "results", "runs", "beside"}
    keys = keys_of(command.schema)
    assert {name for name in of_folders & keys.keys() if keys[name].names != "path"} == set()
