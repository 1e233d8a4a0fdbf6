"""Folders of runs, adapters and exported models that were damaged, edited, or made to run code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from cctuning.connection.model import CONNECTION_FILE, CONNECTION_WEIGHTS
from cctuning.training.runs import RECIPE_FILE
from tests.hostile import models
from tests.hostile.cases import Group
from tests.hostile.models import FIT, WEIGHTS, asked, trained

CASES = Group("Runs, adapters and exported models")

WEIGHT = "decision_maker.weight"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@CASES.case(
    "`connection.safetensors` is a pickle",
    error=(
        "model=run: run/connection.safetensors is a pickle and no safetensors file: pickles may run "
        "code and are not read"
    ),
    script="fit",
)
def connection_pickle(folder: Path) -> list[str]:
    models.pickled(models.run(folder) / CONNECTION_WEIGHTS)
    return FIT


@CASES.case(
    "half a `connection.safetensors`",
    error="model=run: run/connection.safetensors is no whole safetensors file: …",
    script="chat",
)
def connection_truncated(folder: Path) -> list[str]:
    models.halve(models.run(folder) / CONNECTION_WEIGHTS)
    return asked("run")


@CASES.case(
    "no `connection.safetensors`",
    error="model=run: run/connection.safetensors is missing: the Decision Maker's weights belong there",
    script="chat",
)
def connection_missing(folder: Path) -> list[str]:
    (models.run(folder) / CONNECTION_WEIGHTS).unlink()
    return asked("run")


@CASES.case(
    "a Decision Maker for another hidden size",
    error=(
        "model=run: run/connection.safetensors: decision_maker.weight is (3, 64), the model needs (3, "
        "32): it belongs to another model"
    ),
    script="chat",
)
def other_d(folder: Path) -> list[str]:
    models.rewrite(models.run(folder) / CONNECTION_WEIGHTS, lambda _: {WEIGHT: torch.zeros(3, 64)})
    return asked("run")


@CASES.case(
    "a Decision Maker for another number of layers",
    error=(
        "model=run: run/connection.safetensors: decision_maker.weight is (4, 32), the model needs (3, "
        "32): it belongs to another model"
    ),
    script="chat",
)
def other_layers(folder: Path) -> list[str]:
    models.rewrite(models.run(folder) / CONNECTION_WEIGHTS, lambda _: {WEIGHT: torch.zeros(4, 32)})
    return asked("run")


@CASES.case(
    "NaN in the Decision Maker",
    error=(
        "model=run: decision_maker.weight of run/connection.safetensors holds NaN or infinity: its "
        "training diverged"
    ),
    script="chat",
)
def connection_nan(folder: Path) -> list[str]:
    models.rewrite(
        models.run(folder) / CONNECTION_WEIGHTS, lambda _: {WEIGHT: torch.full((3, 32), torch.nan)}
    )
    return asked("run")


@CASES.case(
    "another tensor in `connection.safetensors`",
    error=("model=run: run/connection.safetensors must hold decision_maker.weight alone, and holds weight"),
    script="chat",
)
def connection_other_tensor(folder: Path) -> list[str]:
    models.rewrite(models.run(folder) / CONNECTION_WEIGHTS, lambda _: {"weight": torch.zeros(3, 32)})
    return asked("run")


@CASES.case("half a `connection.json`", error="model=run: run/connection.json is no JSON: …", script="fit")
def settings_broken(folder: Path) -> list[str]:
    models.halve(models.run(folder) / CONNECTION_FILE)
    return FIT


def connection(folder: Path, **changes: object) -> list[str]:
    """A run whose connection.json has these settings."""
    path = models.run(folder) / CONNECTION_FILE
    settings = json.loads(path.read_text())["connection"] | changes
    models.edit(path, connection=settings)
    return asked("run")


@CASES.case(
    "a setting in `connection.json` that does not exist",
    error=(
        "model=run: run/connection.json: connection: 'temprature' is no setting of this version, and "
        "may be one of another; did you mean 'temperature'?"
    ),
    script="chat",
)
def unknown_setting(folder: Path) -> list[str]:
    return connection(folder, temprature=2.0)


@CASES.case(
    "text for a number in `connection.json`",
    error="model=run: run/connection.json: connection.temperature='hot' must be a number above 0",
    script="chat",
)
def setting_of_text(folder: Path) -> list[str]:
    return connection(folder, temperature="hot")


@CASES.case(
    "text for yes or no in `connection.json`",
    error="model=run: run/connection.json: connection.hard='false' must be true or false",
    script="chat",
)
def setting_no(folder: Path) -> list[str]:
    return connection(folder, hard="false")


@CASES.case(
    "a pooling that does not exist in `connection.json`",
    error=(
        "model=run: run/connection.json: connection.pooling='max' is not one of decision_maker, mean, "
        "random, layer"
    ),
    script="chat",
)
def unknown_pooling(folder: Path) -> list[str]:
    return connection(folder, pooling="max")


@CASES.case(
    "a layer that the model does not have in `connection.json`",
    error="model=run: layer=7 is not one of the model's 3 layers",
    script="chat",
)
def unknown_layer(folder: Path) -> list[str]:
    return connection(folder, pooling="layer", layer=7)


@CASES.case(
    "text for token ids in `connection.json`",
    error="model=run: run/connection.json: response_marker must be a list of token ids",
    script="chat",
)
def marker_of_text(folder: Path) -> list[str]:
    models.edit(models.run(folder) / CONNECTION_FILE, response_marker="assistant")
    return asked("run")


@CASES.case(
    "no settings in `connection.json`",
    error=(
        "model=run: run/connection.json: connection must be a JSON object: it is damaged, or of "
        "another version"
    ),
    script="chat",
)
def settings_missing(folder: Path) -> list[str]:
    (models.run(folder) / CONNECTION_FILE).write_text("{}")
    return asked("run")


@CASES.case(
    "a run's `recipe.yaml` without a setting",
    error="run/recipe.yaml: cutoff_len is missing, and must be int",
    script="fit",
)
def recipe_without_setting(folder: Path) -> list[str]:
    path = models.run(folder) / RECIPE_FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("cutoff_len")))
    return FIT


@CASES.case(
    "a run's `recipe.yaml` with text for a number",
    error="run/recipe.yaml: cutoff_len is 'long', and must be int",
    script="fit",
)
def recipe_with_text(folder: Path) -> list[str]:
    path = models.run(folder) / RECIPE_FILE
    path.write_text(path.read_text().replace("\ncutoff_len: 1024", "\ncutoff_len: long"))
    return FIT


@CASES.case(
    "a run's `recipe.yaml` that is no YAML",
    error="run/recipe.yaml is not readable YAML: …",
    script="fit",
)
def recipe_no_yaml(folder: Path) -> list[str]:
    (models.run(folder) / RECIPE_FILE).write_text("data: [rows.jsonl\nseed: 1")
    return FIT


@CASES.case(
    "a Python object in a run's `recipe.yaml`",
    error="run/recipe.yaml is not readable YAML: …",
    script="fit",
)
def recipe_with_code(folder: Path) -> list[str]:
    with (models.run(folder) / RECIPE_FILE).open("a") as file:
        file.write("evil: !!python/object/apply:os.mkdir [sprung]\n")
    return FIT


@CASES.case(
    "a run that was trained with code of its model",
    error=(
        "run was trained with trust_remote_code=true: its model needs code that came with it; look at "
        "that code, then say trust_remote_code=true here too"
    ),
    script="fit",
)
def run_with_code(folder: Path) -> list[str]:
    models.run(folder, trust_remote_code=True)
    return FIT


@CASES.case(
    "a run that was trained with code of its model, asked",
    error=(
        "run was trained with trust_remote_code=true: its model needs code that came with it; look at "
        "that code, then say trust_remote_code=true here too"
    ),
    script="chat",
)
def run_with_code_in_chat(folder: Path) -> list[str]:
    models.run(folder, trust_remote_code=True)
    return asked("run")


@CASES.case(
    "a run whose `config.json` names code",
    error=(
        "model=run: its files name code of their own to run, which is not done unasked: look at that "
        "code, then say trust_remote_code=true"
    ),
    script="fit",
)
def run_names_code(folder: Path) -> list[str]:
    run = models.run(folder)
    models.edit(run / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Evil"})
    models.code(run / "evil.py")
    return FIT


@CASES.case(
    "a run of plain fine-tuning, to be fitted",
    error="run was trained without a connection (ML-SFT), or not to its end: nothing to fit",
    script="fit",
)
def plain_run(folder: Path) -> list[str]:
    (models.run(folder) / CONNECTION_FILE).unlink()
    return FIT


@CASES.case(
    "an exported model, to be fitted",
    error="exported is an exported model: name the run that it was made of",
    script="fit",
)
def fit_of_an_exported_model(folder: Path) -> list[str]:
    models.exported(folder)
    return ["model=exported", "use_cpu=true"]


@CASES.case(
    "an exported model, to be trained",
    error="base is an exported model: train from the run that it was made of",
)
def training_of_an_exported_model(folder: Path) -> list[str]:
    models.exported(folder).rename(folder / "base")
    return trained(folder)


@CASES.case(
    "an adapter, to be trained",
    error="adapter holds a LoRA adapter: train from its base model, or merge the two first",
)
def training_of_an_adapter(folder: Path) -> list[str]:
    models.adapter(folder)
    return [*trained(folder), "model_name_or_path=adapter"][1:]


@CASES.case(
    "W_T of another hidden size",
    error=(
        "model=exported: config.json and the weights do not belong together: transform_matrix.weight "
        "is (64, 64) and must be (32, 32)"
    ),
    script="chat",
)
def matrix_of_other_d(folder: Path) -> list[str]:
    path = models.exported(folder) / WEIGHTS
    models.rewrite(path, lambda tensors: tensors | {"transform_matrix.weight": torch.zeros(64, 64)})
    return asked("exported")


@CASES.case(
    "an exported model without W_T",
    error=(
        "model=exported: the weights lack transform_matrix.weight: CCTuningLlamaForCausalLM would "
        "start random"
    ),
    script="chat",
)
def no_matrix(folder: Path) -> list[str]:
    path = models.exported(folder) / WEIGHTS
    models.rewrite(path, lambda tensors: {n: t for n, t in tensors.items() if not n.startswith("transform")})
    return asked("exported")


@CASES.case(
    "NaN in W_T",
    error=(
        "model=exported: transform_matrix.weight of exported holds NaN or infinity: its training diverged"
    ),
    script="chat",
)
def nan_matrix(folder: Path) -> list[str]:
    path = models.exported(folder) / WEIGHTS
    nan = torch.eye(32).index_fill(0, torch.tensor([3]), torch.nan)
    models.rewrite(path, lambda tensors: tensors | {"transform_matrix.weight": nan})
    return asked("exported")


@CASES.case(
    "an exported model whose `architectures` is no model",
    error="model=exported: exported/config.json: architectures=['os'] names no model of transformers",
    script="chat",
)
def no_such_architecture(folder: Path) -> list[str]:
    models.edit(models.exported(folder) / "config.json", architectures=["os"])
    return asked("exported")


@CASES.case(
    "an exported model with broken settings",
    error=(
        "model=exported: exported/config.json: cctuning must be a JSON object with connection, paths, "
        "response_marker, hidden_size: it is damaged, or of another version"
    ),
    script="chat",
)
def exported_settings(folder: Path) -> list[str]:
    models.edit(models.exported(folder) / "config.json", cctuning={"connection": {}})
    return asked("exported")


@CASES.case(
    "an exported model connected to modules that are not there",
    error="model=exported: its files cannot be used: AttributeError: …",
    script="chat",
)
def exported_paths(folder: Path) -> list[str]:
    path = models.exported(folder) / "config.json"
    settings = json.loads(path.read_text())["cctuning"]
    models.edit(path, cctuning=settings | {"paths": {"layers": "nowhere", "record": "mlp", "inject": ""}})
    return asked("exported")


@CASES.case(
    "only `adapter_model.bin`",
    error=(
        "model=adapter: adapter holds no adapter_model.safetensors, only adapter_model.bin: pickles "
        "may run code and are not read"
    ),
    script="chat",
)
def adapter_pickle(folder: Path) -> list[str]:
    adapter = models.adapter(folder)
    (adapter / ADAPTER_WEIGHTS).unlink()
    models.pickled(adapter / "adapter_model.bin")
    return asked("adapter")


@CASES.case(
    "half an `adapter_model.safetensors`",
    error="model=adapter: adapter/adapter_model.safetensors is no whole safetensors file: …",
    script="chat",
)
def adapter_truncated(folder: Path) -> list[str]:
    models.halve(models.adapter(folder) / ADAPTER_WEIGHTS)
    return asked("adapter")


@CASES.case(
    "an adapter's weights under other names",
    error=(
        "model=adapter: adapter/adapter_model.safetensors does not belong to adapter_config.json and its "
        "base: only one side has base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    ),
    script="chat",
)
def adapter_other_names(folder: Path) -> list[str]:
    path = models.adapter(folder) / ADAPTER_WEIGHTS
    models.rewrite(path, lambda tensors: {name.replace("q_proj", "v_proj"): t for name, t in tensors.items()})
    return asked("adapter")


@CASES.case(
    "an adapter of another rank than its configuration says",
    error="model=adapter: its files cannot be used: RuntimeError: …",
    script="chat",
)
def adapter_other_rank(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, r=4)
    return asked("adapter")


@CASES.case(
    "NaN in an adapter",
    error=(
        "model=adapter: base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight of "
        "adapter/adapter_model.safetensors holds NaN or infinity: its training diverged"
    ),
    script="chat",
)
def adapter_nan(folder: Path) -> list[str]:
    path = models.adapter(folder) / ADAPTER_WEIGHTS
    models.rewrite(path, lambda tensors: {name: tensor * torch.nan for name, tensor in tensors.items()})
    return asked("adapter")


@CASES.case(
    "an adapter of an unknown kind",
    error=(
        "model=adapter: adapter/adapter_config.json: peft_type='EVIL' is not LORA: merge it into its "
        "base model"
    ),
    script="chat",
)
def adapter_kind(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, peft_type="EVIL")
    return asked("adapter")


@CASES.case(
    "an adapter that names no base model",
    error=(
        "model=adapter: adapter/adapter_config.json names no base model: base_model_name_or_path is missing"
    ),
    script="chat",
)
def adapter_without_base(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, base_model_name_or_path=None)
    return asked("adapter")


@CASES.case(
    "an adapter whose base model is gone",
    error=(
        "model=adapter: adapter/adapter_config.json: base_model_name_or_path=base: there is no such "
        "folder, and as a hub name: …"
    ),
    script="chat",
)
def adapter_base_gone(folder: Path) -> list[str]:
    models.adapter(folder)
    shutil.rmtree(folder / "base")
    return asked("adapter")


@CASES.case(
    "an adapter whose base model brings code",
    error=(
        "model=adapter: adapter/adapter_config.json: base_model_name_or_path=base: its files name "
        "code of their own to run, which is not done unasked: look at that code, then say "
        "trust_remote_code=true"
    ),
    script="chat",
)
def adapter_base_with_code(folder: Path) -> list[str]:
    models.adapter(folder)
    names = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    models.edit(folder / "base" / "config.json", model_type="evil", auto_map=names)
    models.code(folder / "base" / "evil.py")
    return asked("adapter")


@CASES.case(
    "an adapter whose base model is an adapter",
    error=(
        "model=adapter: adapter/adapter_config.json: base_model_name_or_path=adapter: adapter is an "
        "adapter, and no model of its own: name its base model"
    ),
    script="chat",
)
def adapter_of_an_adapter(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, base_model_name_or_path="adapter")
    return asked("adapter")


@CASES.case(
    "an adapter that names a module to import",
    error=(
        "model=adapter: adapter/adapter_config.json: megatron_config={'a': 1} is not supported in an "
        "adapter that is loaded"
    ),
    script="chat",
)
def adapter_module(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, megatron_config={"a": 1}, megatron_core="evil")
    models.code(folder / "evil.py")
    return asked("adapter")


@CASES.case(
    "an adapter that changes the base model's weights",
    error=(
        "model=adapter: adapter/adapter_config.json: init_lora_weights='pissa' changes the base "
        "model: merge it"
    ),
    script="chat",
)
def adapter_changes_base(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, init_lora_weights="pissa")
    return asked("adapter")
