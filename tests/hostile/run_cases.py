"""Folders of runs, adapters and exported models that were damaged, edited, or made to run code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cctuning.connection.model import CONNECTION_WEIGHTS
from cctuning.pretrained.kinds import CONNECTION_FILE, CONNECTION_FOLDER
from cctuning.training.runs import RECIPE_FILE
from tests.hostile import models
from tests.hostile.cases import Table
from tests.hostile.model_cases import ASKS_FIRST, MODEL_CODE, brings_code, edited, halved, weights
from tests.hostile.models import FIT, asked, trained

SETTINGS_FILE = f"{CONNECTION_FOLDER}/{CONNECTION_FILE}"
MATRICES = f"{CONNECTION_FOLDER}/{CONNECTION_WEIGHTS}"

TABLE = Table("chat")
row = TABLE.row

WEIGHT = "decision_maker.weight"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
DIVERGED = "NaN … diverged"

Change = Callable[[Path], Any]


def run(folder: Path, change: Change = lambda path: None, **recipe: Any) -> list[str]:
    """Asking `run`, changed."""
    change(models.run(folder, **recipe))
    return asked("run")


def fitted(folder: Path, change: Change = lambda path: None, **recipe: Any) -> list[str]:
    """Fitting `run`, changed."""
    change(models.run(folder, **recipe))
    return FIT


def exported(folder: Path, change: Change) -> list[str]:
    """Asking `exported`, changed."""
    change(models.exported(folder))
    return asked("exported")


def adapter(folder: Path, change: Change) -> list[str]:
    """Asking `adapter`, changed."""
    change(models.adapter(folder))
    return asked("adapter")


def removed(name: str) -> Change:
    """Takes a file away."""
    return lambda path: (path / name).unlink()


def written(name: str, text: str) -> Change:
    """Writes a file anew."""
    return lambda path: (path / name).write_text(text)


def replaced(name: str, change: Callable[[str], str]) -> Change:
    """Changes the text of a file."""
    return lambda path: (path / name).write_text(change((path / name).read_text()))


def matrix(name: str, tensor: torch.Tensor) -> Change:
    """Puts one tensor in place of all in the connection's weights."""
    return weights(lambda tensors: {name: tensor}, MATRICES)


# --- The Decision Maker -------------------------------------------------------------------------------------

DECISION_MAKER = f"model=run: run/{MATRICES}"

row(
    "a pickle as the Decision Maker",
    f"{DECISION_MAKER} … pickle … may run code",
    fitted,
    lambda path: models.pickled(path / MATRICES),
    script="fit",
)
row("half a Decision Maker", f"{DECISION_MAKER} … safetensors", run, halved(MATRICES))
row("no Decision Maker", f"{DECISION_MAKER} is missing", run, removed(MATRICES))
row(
    "a Decision Maker of another hidden size",
    f"{DECISION_MAKER}: {WEIGHT} is (3, 64) … (3, 32)",
    run,
    matrix(WEIGHT, torch.zeros(3, 64)),
)
row(
    "a Decision Maker of more layers",
    f"{DECISION_MAKER}: {WEIGHT} is (4, 32) … (3, 32)",
    run,
    matrix(WEIGHT, torch.zeros(4, 32)),
)
row(
    "NaN in the Decision Maker",
    f"model=run: {WEIGHT} … run/{MATRICES} … {DIVERGED}",
    run,
    matrix(WEIGHT, torch.full((3, 32), torch.nan)),
)
row(
    "another tensor beside no Decision Maker",
    f"{DECISION_MAKER} … {WEIGHT} … holds weight",
    run,
    matrix("weight", torch.zeros(3, 32)),
)

# --- connection.json ----------------------------------------------------------------------------------------

SETTINGS = f"model=run: run/{SETTINGS_FILE}"


def setting(folder: Path, **changes: object) -> list[str]:
    """Asking a run whose connection.json has these settings."""
    path = models.run(folder) / SETTINGS_FILE
    models.edit(path, connection=json.loads(path.read_text())["connection"] | changes)
    return asked("run")


row("half the settings", f"{SETTINGS} … JSON", fitted, halved(SETTINGS_FILE), script="fit")
row("no settings", f"{SETTINGS}: connection … object", run, written(SETTINGS_FILE, "{}"))
row(
    "text for token ids",
    f"{SETTINGS}: response_marker … token ids",
    run,
    edited(SETTINGS_FILE.removesuffix(".json"), response_marker="assistant"),
)
row(
    "a setting that does not exist",
    f"{SETTINGS}: connection: 'temprature' … did you mean 'temperature'",
    setting,
    temprature=2.0,
)
row("text for a number", f"{SETTINGS}: connection.temperature='hot' … above 0", setting, temperature="hot")
row("text for yes or no", f"{SETTINGS}: connection.hard='false' … true or false", setting, hard="false")
row(
    "a pooling that does not exist",
    f"{SETTINGS}: connection.pooling='max' … decision_maker, mean, random, layer",
    setting,
    pooling="max",
)
row(
    "a layer that the model does not have", "model=run: layer=7 … 3 layers", setting, pooling="layer", layer=7
)

# --- A run's recipe -----------------------------------------------------------------------------------------

RECIPE = f"run/{RECIPE_FILE}"
TRUSTED = "run … trained with trust_remote_code=true … trust_remote_code=true here"

row(
    "a recipe without a setting",
    f"{RECIPE}: cutoff_len … missing … int",
    fitted,
    replaced(
        RECIPE_FILE,
        lambda text: "".join(
            line for line in text.splitlines(keepends=True) if not line.startswith("cutoff_len")
        ),
    ),
    script="fit",
)
row(
    "a recipe with text for a number",
    f"{RECIPE}: cutoff_len … 'long' … int",
    fitted,
    replaced(RECIPE_FILE, lambda text: text.replace("\ncutoff_len: 1024", "\ncutoff_len: long")),
    script="fit",
)
row(
    "a recipe that is no YAML",
    f"{RECIPE} … YAML",
    fitted,
    written(RECIPE_FILE, "data: [rows.jsonl\nseed: 1"),
    script="fit",
)
row(
    "a Python object in a recipe",
    f"{RECIPE} … YAML",
    fitted,
    replaced(RECIPE_FILE, lambda text: text + "evil: !!python/object/apply:os.mkdir [sprung]\n"),
    script="fit",
)
row("a run of a model with code", TRUSTED, fitted, trust_remote_code=True, script="fit")
row("a run of a model with code, asked", TRUSTED, run, trust_remote_code=True)
row(
    "a run whose configuration names code",
    f"model=run: … {ASKS_FIRST}",
    fitted,
    lambda path: brings_code(path, model_type="evil", auto_map={"AutoConfig": "evil.Evil"}),
    script="fit",
)
row(
    "a run of plain fine-tuning, fitted",
    "run … without a connection … nothing to fit",
    fitted,
    removed(SETTINGS_FILE),
    script="fit",
)

# --- Exported models ----------------------------------------------------------------------------------------

W_T = "transform_matrix.weight"


@TABLE.case("exported … exported model … run", script="fit")
def an_exported_model_fitted(folder: Path) -> list[str]:
    models.exported(folder)
    return ["model=exported", "use_cpu=true"]


def beside(folder: Path, mark: str) -> list[str]:
    """Training into the folder that another command has written, with a recipe of its own in it."""
    models.base(folder)
    (folder / "out").mkdir()
    for name in (mark, RECIPE_FILE):
        (folder / "out" / name).write_text("{}")
    return trained(folder)


for mark, command in {"evaluation": "evaluate", "probe": "probe", "question": "probe"}.items():
    says = f"output_dir=out … {mark}.json of cctuning {command} … another output_dir"
    row(f"a run into the folder of {mark}.json", says, beside, f"{mark}.json", script="train")


@TABLE.case("base … exported model … run", script="train")
def an_exported_model_trained(folder: Path) -> list[str]:
    models.exported(folder).rename(folder / "base")
    return trained(folder)


row(
    "W_T of another hidden size",
    f"model=exported: config.json … {W_T} is (64, 64) … (32, 32)",
    exported,
    weights(lambda tensors: tensors | {W_T: torch.zeros(64, 64)}),
)
row(
    "no W_T",
    f"model=exported: … lack {W_T} … random",
    exported,
    weights(lambda tensors: {n: t for n, t in tensors.items() if not n.startswith("transform")}),
)
row(
    "NaN in W_T",
    f"model=exported: {W_T} … {DIVERGED}",
    exported,
    weights(lambda tensors: tensors | {W_T: torch.eye(32).index_fill(0, torch.tensor([3]), torch.nan)}),
)
row(
    "an architecture that is no model",
    "model=exported: exported/config.json: architectures=['os'] … model",
    exported,
    edited(architectures=["os"]),
)
row(
    "an exported model with broken settings",
    "model=exported: exported/config.json: cctuning … connection, paths, response_marker, hidden_size",
    exported,
    edited(cctuning={"connection": {}}),
)


def with_settings(folder: Path, **changes: Any) -> list[str]:
    """Asking `exported` with these among its settings."""
    path = models.exported(folder) / "config.json"
    models.edit(path, cctuning=json.loads(path.read_text())["cctuning"] | changes)
    return asked("exported")


row(
    "factors of more than the hidden size",
    "model=exported: exported/config.json: cctuning.transform_rank … from 1 to hidden_size=32",
    with_settings,
    transform_per_layer=True,
    transform_rank=33,
)
row(
    "one matrix in the place of each layer's",
    f"model=exported: … {W_T} is (32, 32) … (3, 32, 32)",
    with_settings,
    transform_per_layer=True,
)
row(
    "words without a place for the prompt",
    "model=exported: exported/config.json: cctuning.into_english.wordings … {text}",
    with_settings,
    into_english={"prompt_start": [1], "wordings": {"sw": "Translate"}},
)
row(
    "paths of modules that are not there",
    "model=exported: … AttributeError",
    with_settings,
    paths={"layers": "nowhere", "record": "mlp", "inject": ""},
)

# --- Adapters -----------------------------------------------------------------------------------------------

CONFIGURATION = f"model=adapter: adapter/{ADAPTER}"
LORA_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@TABLE.case("adapter … LoRA adapter … base model", script="train")
def an_adapter_trained(folder: Path) -> list[str]:
    models.adapter(folder)
    return [*trained(folder), "model_name_or_path=adapter"][1:]


@TABLE.case(f"model=adapter: adapter … {ADAPTER_WEIGHTS} … adapter_model.bin … may run code")
def a_pickle_as_an_adapter(folder: Path) -> list[str]:
    path = models.adapter(folder)
    (path / ADAPTER_WEIGHTS).unlink()
    models.pickled(path / "adapter_model.bin")
    return asked("adapter")


row(
    "half an adapter",
    f"model=adapter: adapter/{ADAPTER_WEIGHTS} … safetensors",
    adapter,
    halved(ADAPTER_WEIGHTS),
)
row(
    "weights of an adapter under other names",
    f"model=adapter: adapter/{ADAPTER_WEIGHTS} … {ADAPTER} … {LORA_A}",
    adapter,
    weights(lambda tensors: {n.replace("q_proj", "v_proj"): t for n, t in tensors.items()}, ADAPTER_WEIGHTS),
)
for rank in (4, 10**9):
    row(
        f"an adapter of rank {rank}",
        f"{CONFIGURATION}: a rank of {rank} … weights have [2]",
        adapter,
        edited("adapter_config", r=rank),
    )
row(
    "a number for modules",
    f"{CONFIGURATION}: modules_to_save=5 … list of names",
    adapter,
    edited("adapter_config", modules_to_save=5),
)
row(
    "NaN in an adapter",
    f"model=adapter: {LORA_A} … adapter/{ADAPTER_WEIGHTS} … {DIVERGED}",
    adapter,
    weights(lambda tensors: {n: t * torch.nan for n, t in tensors.items()}, ADAPTER_WEIGHTS),
)
row(
    "an adapter of an unknown kind",
    f"{CONFIGURATION}: peft_type='EVIL' … LORA … merge",
    adapter,
    edited("adapter_config", peft_type="EVIL"),
)
row(
    "an adapter without a base model",
    f"{CONFIGURATION} … base_model_name_or_path is missing",
    adapter,
    edited("adapter_config", base_model_name_or_path=None),
)
row(
    "an adapter whose base model is gone",
    f"{CONFIGURATION}: base_model_name_or_path=base: … no such folder … hub",
    adapter,
    lambda path: shutil.rmtree(path.parent / "base"),
)
row(
    "an adapter whose base model brings code",
    f"{CONFIGURATION}: base_model_name_or_path=base: … {ASKS_FIRST}",
    adapter,
    lambda path: brings_code(path.parent / "base", **MODEL_CODE),
)
row(
    "an adapter whose base model is an adapter",
    f"{CONFIGURATION}: base_model_name_or_path=adapter: … adapter … base model",
    adapter,
    edited("adapter_config", base_model_name_or_path="adapter"),
)
row(
    "an adapter that changes its base model",
    f"{CONFIGURATION}: init_lora_weights='pissa' … merge",
    adapter,
    edited("adapter_config", init_lora_weights="pissa"),
)


@TABLE.case(f"{CONFIGURATION}: megatron_config= … not supported")
def an_adapter_that_names_a_module(folder: Path) -> list[str]:
    models.edit(models.adapter(folder) / ADAPTER, megatron_config={"a": 1}, megatron_core="evil")
    models.code(folder / "evil.py")
    return asked("adapter")
