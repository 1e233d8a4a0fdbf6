"""Folders of models whose weights or configuration are broken, or that would run code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.hostile import models
from tests.hostile.cases import Table
from tests.hostile.models import WEIGHTS, asked, trained

TABLE = Table("chat")
row = TABLE.row
PICKLE_SHARD = "pytorch_model-00001-of-00001.bin"
SHARD = "model-00001.safetensors"
INDEX = f"{WEIGHTS}.index.json"
ASKS_FIRST = "code of their own … trust_remote_code=true"

Change = Callable[[Path], Any]


def chat(folder: Path, change: Change) -> list[str]:
    """Asking `base`, changed."""
    change(models.base(folder))
    return asked()


def train(folder: Path, change: Change, *more: str) -> list[str]:
    """Training `base`, changed."""
    change(models.base(folder))
    return trained(folder, *more)


def edited(name: str = "config", **values: Any) -> Change:
    """Changes entries of a JSON file."""
    return lambda base: models.edit(base / f"{name}.json", **values)


def weights(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], name: str = WEIGHTS
) -> Change:
    """Changes the tensors of a file."""
    return lambda base: models.rewrite(base / name, change)


def halved(name: str) -> Change:
    """Cuts a file in the middle."""
    return lambda base: models.halve(base / name)


def both(*changes: Change) -> Change:
    """Makes several changes."""
    return lambda base: [change(base) for change in changes]


def in_place_of_weights(change: Change) -> Change:
    """Makes something else where the weights were."""
    return both(lambda base: (base / WEIGHTS).unlink(), change)


def brings_code(base: Path, name: str = "config", **values: Any) -> None:
    """The folder names code of its own."""
    models.edit(base / f"{name}.json", **values)
    models.code(base / "evil.py")


# --- Weights ------------------------------------------------------------------------------------------------

WHOLE = f"base/{WEIGHTS} … safetensors"

row("weights cut in the middle", f"model_name_or_path=base: {WHOLE}", train, halved(WEIGHTS), script="train")
row("empty weights", f"model=base: {WHOLE}", chat, lambda base: (base / WEIGHTS).write_bytes(b""))
row(
    "a pickle by another name",
    f"model=base: base/{WEIGHTS} … pickle … may run code",
    chat,
    lambda base: models.pickled(base / WEIGHTS),
)
row(
    "a pickle alone",
    "model_name_or_path=base: base … pytorch_model.bin … may run code … save_pretrained",
    train,
    in_place_of_weights(lambda base: models.pickled(base / "pytorch_model.bin")),
    script="train",
)
row("no weights", f"model=base: base … {WEIGHTS} … weights", chat, in_place_of_weights(lambda base: None))
row(
    "weights under other names",
    "model=base: … lack lm_head.weight (and 29 more) … random",
    chat,
    weights(lambda tensors: {f"theirs.{name}": tensor for name, tensor in tensors.items()}),
)
row(
    "NaN in a weight",
    "model=base: model.norm.weight … NaN",
    chat,
    weights(lambda tensors: tensors | {"model.norm.weight": torch.full((32,), torch.nan)}),
)
row(
    "more tokens than embeddings",
    "token 297 (ĠKenya) … embeddings for 100 tokens … tokenizer",
    chat,
    both(
        edited(vocab_size=100),
        weights(
            lambda tensors: {name: t[:100].clone() if len(t) > 100 else t for name, t in tensors.items()}
        ),
    ),
)


@TABLE.case(f"model=base: {WHOLE}")
def a_header_beyond_the_files_end(folder: Path) -> list[str]:
    path = models.base(folder) / WEIGHTS
    path.write_bytes((2**40).to_bytes(8, "little") + path.read_bytes()[8:])
    return asked()


@TABLE.case(f"model=base: base … {PICKLE_SHARD} … may run code … save_pretrained")
def an_index_of_pickles_alone(folder: Path) -> list[str]:
    base = models.base(folder)
    (base / WEIGHTS).unlink()
    models.pickled(base / PICKLE_SHARD)
    shards = {"model.norm.weight": PICKLE_SHARD}
    (base / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    return asked()


def sharded(folder: Path, shard: str, change: Change = lambda base: None) -> list[str]:
    """Asking `base` with its weights in one shard of this name."""
    base = models.base(folder)
    tensors = models.load_file(base / WEIGHTS)
    (base / WEIGHTS).rename(base / shard)
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, shard)}
    (base / INDEX).write_text(json.dumps(index))
    change(base)
    return asked()


row(
    "an index that leads out",
    f"model=base: base/{INDEX}: '../other.safetensors' … in this folder",
    sharded,
    "../other.safetensors",
)
row(
    "an index with an absolute path",
    f"model=base: base/{INDEX}: … /other.safetensors' … in this folder",
    lambda folder: sharded(folder, str(folder / "other.safetensors")),
)
row(
    "an index of pickles",
    f"model=base: base/{INDEX}: 'model-00001.bin' … safetensors",
    sharded,
    "model-00001.bin",
    lambda base: models.pickled(base / "model-00001.bin"),
)
row(
    "a missing shard",
    f"model=base: base/{SHARD} is missing",
    sharded,
    SHARD,
    lambda base: (base / SHARD).unlink(),
)
row(
    "a shard without a tensor of the index",
    f"model=base: base/{SHARD} lacks model.norm.weight … {INDEX}",
    sharded,
    SHARD,
    weights(lambda tensors: {n: t for n, t in tensors.items() if n != "model.norm.weight"}, SHARD),
)
row(
    "an index without a weight map",
    f"model=base: base/{INDEX} … weight_map",
    chat,
    in_place_of_weights(lambda base: (base / INDEX).write_text("[]")),
)

# --- Configuration ------------------------------------------------------------------------------------------

row("no config.json", "model=base … config.json", chat, lambda base: (base / "config.json").unlink())
row("half a config.json", "base/config.json … JSON", train, halved("config.json"), script="train")
row(
    "a list as config.json",
    "model=base: base/config.json … JSON object … list",
    chat,
    lambda base: (base / "config.json").write_text("[1]"),
)
row(
    "more layers than in the weights",
    "model=base: … lack model.layers.3.input_layernorm.weight (and 8 more) … random",
    chat,
    edited(num_hidden_layers=4),
)
row(
    "fewer layers than in the weights",
    "model=base: config.json … 2 layers … model.layers.2.input_layernorm.weight (and 8 more)",
    chat,
    edited(num_hidden_layers=2),
)
row(
    "another hidden size",
    "model=base: config.json … lm_head.weight is (383, 32) … (383, 64)",
    chat,
    edited(hidden_size=64),
)
row(
    "text for a number", "model=base: … StrictDataclassFieldValidationError", chat, edited(hidden_size="wide")
)
row("no attention heads", "model=base: … ZeroDivisionError", chat, edited(num_attention_heads=0))
for name, value in (
    ("num_hidden_layers", 10**8),
    ("num_hidden_layers", -3),
    ("vocab_size", 10**12),
    ("num_labels", 10**9),
):
    row(f"{name}={value}", f"model=base: config.json: {name}={value:,} … size", chat, edited(**{name: value}))
    row(
        f"{name}={value} in training",
        f"model_name_or_path=base: config.json: {name}={value:,} … size",
        train,
        edited(**{name: value}),
        script="train",
    )
row("no layers", "model=base: config.json … 0 layers", chat, edited(num_hidden_layers=0))
row(
    "sizes of a model that is not there",
    "model_name_or_path=base: config.json … model.layers.0.mlp.down_proj.weight is (32, 64) … (and 8 more)",
    train,
    edited(intermediate_size=2**24),
    "dry_run=true",
    script="train",
)
row(
    "many times the layers that are there",
    "model=base: config.json … parameters … they hold 52,384",
    chat,
    edited(num_hidden_layers=90),
)
row(
    "a package that is not installed",
    "model=base: … package torchao … install",
    chat,
    edited(quantization_config={"quant_method": "torchao", "quant_type": "int4_weight_only"}),
)
row("an unknown model type", "model=base: … ValueError … llamma", chat, edited(model_type="llamma"))
row(
    "an encoder-decoder model",
    "model=base: … 't5' … decoder-only",
    chat,
    edited(model_type="t5", architectures=["T5ForConditionalGeneration"]),
)
row(
    "an encoder",
    "model_name_or_path=base: … 'bert' … decoder-only",
    train,
    edited(model_type="bert", architectures=["BertModel"]),
    "connection.enabled=false",
    script="train",
)
row(
    "an architecture that is not in the table",
    "model_name_or_path=base: … 'mamba' … ARCHITECTURES … docs/architectures.md … bloom, cohere",
    train,
    edited(model_type="mamba", architectures=["MambaForCausalLM"]),
    script="train",
)
row(
    "quantised weights without their library",
    "HQQ … install it",
    chat,
    edited(quantization_config={"quant_method": "hqq", "quant_config": {"weight_quant_params": {}}}),
)
row(
    "quantised weights to train on",
    "model_name_or_path=base: … quantised already (fp8) … load_in_4bit=true",
    train,
    edited(quantization_config={"quant_method": "fp8"}),
    "lora.enabled=true",
    script="train",
)
row(
    "a pickle named as the weights",
    "model=base: config.json: transformers_weights='adapter_model.bin' … safetensors",
    chat,
    both(
        lambda base: models.pickled(base / "adapter_model.bin"),
        edited(transformers_weights="adapter_model.bin"),
    ),
)
row(
    "weights that lie elsewhere",
    "model=base: … ../other.safetensors",
    chat,
    both(
        lambda base: shutil.copy(base / WEIGHTS, base.parent / "other.safetensors"),
        edited(transformers_weights="../other.safetensors"),
    ),
)
row(
    "text for a number of generation_config.json",
    "model=base: … TypeError",
    chat,
    edited("generation_config", max_new_tokens="many"),
)
row(
    "half a generation_config.json",
    "model=base: base/generation_config.json … JSON",
    chat,
    halved("generation_config.json"),
)

# --- Code ---------------------------------------------------------------------------------------------------

MODEL_CODE = {
    "model_type": "evil",
    "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"},
}
TOKENIZER_CODE = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}

row(
    "code for the model",
    f"model_name_or_path=base: … {ASKS_FIRST}",
    train,
    lambda base: brings_code(base, **MODEL_CODE),
    script="train",
)
row(
    "code for the model, asked",
    f"model=base: … {ASKS_FIRST}",
    chat,
    lambda base: brings_code(base, **MODEL_CODE),
)
row(
    "code for the tokenizer",
    f"model=base: … {ASKS_FIRST}",
    chat,
    lambda base: brings_code(base, "tokenizer_config", **TOKENIZER_CODE),
)
row(
    "an attention kernel of the hub",
    "model=base: config.json … 'evil/attention' … hub",
    chat,
    edited(attn_implementation="evil/attention"),
)

# --- Tokenizers ---------------------------------------------------------------------------------------------

row(
    "half a tokenizer.json",
    "model_name_or_path=base: base/tokenizer.json … JSON",
    train,
    halved("tokenizer.json"),
    script="train",
)
row(
    "half a tokenizer_config.json",
    "model=base: base/tokenizer_config.json … JSON",
    chat,
    halved("tokenizer_config.json"),
)
row(
    "no tokenizer",
    "model=base: base … no tokenizer … tokenizer.json",
    chat,
    lambda base: [(base / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
)
row(
    "a chat template that looks for Python's classes",
    "chat template … cannot write … '__class__' … unsafe",
    train,
    lambda base: (base / "chat_template.jinja").write_text(
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    ),
    script="train",
)
row(
    "a chat template whose name leads out",
    "model_name_or_path=base: … chat template … '../../../../sprung' … name",
    train,
    edited(
        "tokenizer_config",
        chat_template=[{"name": "default", "template": "a"}, {"name": "../../../../sprung", "template": "b"}],
    ),
    script="train",
)
