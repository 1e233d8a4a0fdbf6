"""Folders of models whose weights or configuration are broken, or that would run code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from tests.hostile import models
from tests.hostile.cases import Group
from tests.hostile.models import WEIGHTS, asked, trained

CASES = Group("Model folders")


@CASES.case(
    "`model.safetensors` cut in the middle",
    error="model_name_or_path=base: base/model.safetensors is no whole safetensors file: …",
)
def truncated(folder: Path) -> list[str]:
    models.halve(models.base(folder) / WEIGHTS)
    return trained(folder)


@CASES.case(
    "a header length beyond the file's end",
    error="model=base: base/model.safetensors is no whole safetensors file: …",
    script="chat",
)
def lying_header(folder: Path) -> list[str]:
    path = models.base(folder) / WEIGHTS
    path.write_bytes((2**40).to_bytes(8, "little") + path.read_bytes()[8:])
    return asked()


@CASES.case(
    "an empty `model.safetensors`",
    error="model=base: base/model.safetensors is no whole safetensors file: …",
    script="chat",
)
def empty(folder: Path) -> list[str]:
    (models.base(folder) / WEIGHTS).write_bytes(b"")
    return asked()


@CASES.case(
    "a pickle named `model.safetensors`",
    error=(
        "model=base: base/model.safetensors is a pickle and no safetensors file: pickles may run code "
        "and are not read"
    ),
    script="chat",
)
def pickle_by_another_name(folder: Path) -> list[str]:
    models.pickled(models.base(folder) / WEIGHTS)
    return asked()


@CASES.case(
    "only `pytorch_model.bin`",
    error=(
        "model_name_or_path=base: base holds no model.safetensors, only pytorch_model.bin: pickles "
        "may run code and are not read. If you trust it, convert it once: "
        "AutoModelForCausalLM.from_pretrained(FROM).save_pretrained(TO)"
    ),
)
def pickle_only(folder: Path) -> list[str]:
    base = models.base(folder)
    (base / WEIGHTS).unlink()
    models.pickled(base / "pytorch_model.bin")
    return trained(folder)


@CASES.case(
    "only `pytorch_model.bin.index.json`",
    error=(
        "model=base: base holds no model.safetensors, only pytorch_model-00001-of-00001.bin: pickles "
        "may run code and are not read. If you trust it, convert it once: "
        "AutoModelForCausalLM.from_pretrained(FROM).save_pretrained(TO)"
    ),
    script="chat",
)
def pickle_index(folder: Path) -> list[str]:
    base = models.base(folder)
    (base / WEIGHTS).unlink()
    models.pickled(base / "pytorch_model-00001-of-00001.bin")
    shards = {"model.norm.weight": "pytorch_model-00001-of-00001.bin"}
    (base / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    return asked()


@CASES.case(
    "no weights at all",
    error="model=base: base holds no model.safetensors, nor any other weights",
    script="chat",
)
def no_weights(folder: Path) -> list[str]:
    (models.base(folder) / WEIGHTS).unlink()
    return asked()


def sharded(folder: Path, shard: str) -> Path:
    """`base` with its weights in one shard of this name."""
    base = models.base(folder)
    tensors = models.load_file(base / WEIGHTS)
    (base / WEIGHTS).rename((base / shard) if ".." not in shard else folder / "base" / shard)
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, shard)}
    (base / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    return base


@CASES.case(
    "an index that names a file outside of the folder",
    error=(
        "model=base: base/model.safetensors.index.json: '../other.safetensors' is no safetensors file "
        "in this folder"
    ),
    script="chat",
)
def index_leads_out(folder: Path) -> list[str]:
    sharded(folder, "../other.safetensors")
    return asked()


@CASES.case(
    "an index that names an absolute path",
    error=(
        "model=base: base/model.safetensors.index.json: 'FOLDER/other.safetensors' is no safetensors "
        "file in this folder"
    ),
    script="chat",
)
def absolute_index(folder: Path) -> list[str]:
    sharded(folder, str(folder / "other.safetensors"))
    return asked()


@CASES.case(
    "an index that names a pickle",
    error=(
        "model=base: base/model.safetensors.index.json: 'model-00001.bin' is no safetensors file in "
        "this folder"
    ),
    script="chat",
)
def index_of_pickles(folder: Path) -> list[str]:
    base = sharded(folder, "model-00001.bin")
    models.pickled(base / "model-00001.bin")
    return asked()


@CASES.case(
    "a missing shard",
    error=(
        "model=base: base/model-00001.safetensors is missing: the folder was not copied whole, or its "
        "making was interrupted"
    ),
    script="chat",
)
def missing_shard(folder: Path) -> list[str]:
    (sharded(folder, "model-00001.safetensors") / "model-00001.safetensors").unlink()
    return asked()


@CASES.case(
    "a shard without a tensor of the index",
    error=(
        "model=base: base/model-00001.safetensors lacks model.norm.weight, which "
        "model.safetensors.index.json promises"
    ),
    script="chat",
)
def shard_without_tensor(folder: Path) -> list[str]:
    base = sharded(folder, "model-00001.safetensors")
    models.rewrite(
        base / "model-00001.safetensors",
        lambda tensors: {name: tensor for name, tensor in tensors.items() if name != "model.norm.weight"},
    )
    return asked()


@CASES.case(
    "an index without a weight map",
    error=(
        "model=base: base/model.safetensors.index.json is no index of weights, a JSON object with a "
        "weight_map"
    ),
    script="chat",
)
def no_weight_map(folder: Path) -> list[str]:
    base = models.base(folder)
    (base / WEIGHTS).unlink()
    (base / f"{WEIGHTS}.index.json").write_text("[]")
    return asked()


@CASES.case(
    "weights under other names",
    error=("model=base: the weights lack lm_head.weight (and 29 more): LlamaForCausalLM would start random"),
    script="chat",
)
def other_names(folder: Path) -> list[str]:
    path = models.base(folder) / WEIGHTS
    models.rewrite(path, lambda tensors: {f"theirs.{name}": tensor for name, tensor in tensors.items()})
    return asked()


@CASES.case(
    "more layers in `config.json` than in the weights",
    error=(
        "model=base: the weights lack model.layers.3.input_layernorm.weight (and 8 more): "
        "LlamaForCausalLM would start random"
    ),
    script="chat",
)
def missing_layer(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", num_hidden_layers=4)
    return asked()


@CASES.case(
    "fewer layers in `config.json` than in the weights",
    error=(
        "model=base: config.json says 2 layers, and the weights hold "
        "model.layers.2.input_layernorm.weight (and 8 more)"
    ),
    script="chat",
)
def layer_too_many(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", num_hidden_layers=2)
    return asked()


@CASES.case(
    "another hidden size in `config.json`",
    error=(
        "model=base: config.json and the weights do not belong together: lm_head.weight is (383, 32) "
        "and must be (383, 64) (and 29 more)"
    ),
    script="chat",
)
def other_shapes(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", hidden_size=64)
    return asked()


@CASES.case(
    "NaN in a weight",
    error="model=base: model.norm.weight of base holds NaN or infinity: its training diverged",
    script="chat",
)
def nan_weight(folder: Path) -> list[str]:
    path = models.base(folder) / WEIGHTS
    models.rewrite(path, lambda tensors: tensors | {"model.norm.weight": torch.full((32,), torch.nan)})
    return asked()


@CASES.case(
    "a tokenizer with more tokens than the model has embeddings, asked",
    error=(
        "the tokenizer writes token 297 (ĠKenya), and the model has embeddings for 100 tokens: give "
        "the model its own tokenizer, or resize its embeddings"
    ),
    script="chat",
)
def small_vocabulary(folder: Path) -> list[str]:
    base = models.base(folder)
    models.edit(base / "config.json", vocab_size=100)
    models.rewrite(
        base / WEIGHTS,
        lambda tensors: {name: t[:100].clone() if len(t) > 100 else t for name, t in tensors.items()},
    )
    return asked()


@CASES.case(
    "no `config.json`", error="model=base holds no config.json, so it is no model's folder", script="chat"
)
def no_config(folder: Path) -> list[str]:
    (models.base(folder) / "config.json").unlink()
    return asked()


@CASES.case("half a `config.json`", error="base/config.json is no JSON: …")
def broken_config(folder: Path) -> list[str]:
    models.halve(models.base(folder) / "config.json")
    return trained(folder)


@CASES.case(
    "a list as `config.json`",
    error="model=base: base/config.json holds no JSON object but list",
    script="chat",
)
def config_is_a_list(folder: Path) -> list[str]:
    (models.base(folder) / "config.json").write_text("[1]")
    return asked()


@CASES.case(
    "text for a number in `config.json`",
    error="model=base: its files cannot be used: StrictDataclassFieldValidationError: …",
    script="chat",
)
def config_of_text(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", hidden_size="wide")
    return asked()


@CASES.case(
    "no attention heads", error="model=base: its files cannot be used: ZeroDivisionError: …", script="chat"
)
def no_heads(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", num_attention_heads=0)
    return asked()


@CASES.case(
    "a model type that nobody knows",
    error="model=base: its files cannot be used: ValueError: …",
    script="chat",
)
def unknown_type(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", model_type="llamma")
    return asked()


@CASES.case(
    "an encoder-decoder model",
    error="model=base: model type 't5' is no decoder-only language model",
    script="chat",
)
def encoder_decoder(folder: Path) -> list[str]:
    models.edit(
        models.base(folder) / "config.json", model_type="t5", architectures=["T5ForConditionalGeneration"]
    )
    return asked()


@CASES.case(
    "an encoder", error="model_name_or_path=base: model type 'bert' is no decoder-only language model"
)
def encoder(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", model_type="bert", architectures=["BertModel"])
    return trained(folder, "connection.enabled=false")


@CASES.case(
    "an architecture that is not in the table",
    error=(
        "model_name_or_path=base: model type 'arcee' is not in the architecture table. If its decoder "
        "layers add their feed-forward output to the residual stream, one line in ARCHITECTURES of "
        "cctuning.pretrained.architectures is enough (docs/architectures.md says how). Known: bloom, cohere, "
        "cohere2, deepseek_v3, falcon, gemma, gemma2, gemma3_text, glm, glm4, gpt2, gpt_neox, gptj, granite, "
        "llama, mistral, mixtral, olmo, olmo2, olmoe, phi, phi3, qwen2, qwen2_moe, qwen3, qwen3_moe, "
        "smollm3, stablelm, starcoder2"
    ),
)
def not_in_the_table(folder: Path) -> list[str]:
    base = models.base(folder)
    models.edit(base / "config.json", model_type="arcee", architectures=["ArceeForCausalLM"])
    models.rewrite(base / WEIGHTS, lambda tensors: {n: t for n, t in tensors.items() if "gate_proj" not in n})
    return trained(folder)


@CASES.case(
    "quantised weights without their library",
    error=(
        "Using `bitsandbytes` 4-bit quantization requires bitsandbytes: `pip install -U bitsandbytes>=0.46.1`"
    ),
    script="chat",
)
def quantised(folder: Path) -> list[str]:
    method = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    models.edit(models.base(folder) / "config.json", quantization_config=method)
    return asked()


@CASES.case(
    "code for the model in `auto_map`",
    error=(
        "model_name_or_path=base: its files name code of their own to run, which is not done unasked: "
        "look at that code, then say trust_remote_code=true"
    ),
)
def model_code(folder: Path) -> list[str]:
    base = models.base(folder)
    names = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    models.edit(base / "config.json", model_type="evil", auto_map=names)
    models.code(base / "evil.py")
    return trained(folder)


@CASES.case(
    "code for the model in `auto_map`, asked",
    error=(
        "model=base: its files name code of their own to run, which is not done unasked: look at that "
        "code, then say trust_remote_code=true"
    ),
    script="chat",
)
def model_code_in_chat(folder: Path) -> list[str]:
    model_code(folder)
    return asked()


@CASES.case(
    "code for the tokenizer in `auto_map`",
    error=(
        "model=base: its files name code of their own to run, which is not done unasked: look at that "
        "code, then say trust_remote_code=true"
    ),
    script="chat",
)
def tokenizer_code(folder: Path) -> list[str]:
    base = models.base(folder)
    names = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    models.edit(base / "tokenizer_config.json", tokenizer_class="Evil", auto_map=names)
    models.code(base / "evil.py")
    return asked()


@CASES.case(
    "an attention kernel of the hub in `config.json`",
    error=("model=base: config.json asks for the attention code 'evil/attention' of the hub: take that out"),
    script="chat",
)
def hub_kernel(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "config.json", attn_implementation="evil/attention")
    return asked()


@CASES.case(
    "weights that `config.json` looks for elsewhere",
    error="model=base: its files cannot be used: ValueError: …",
    script="chat",
)
def weights_elsewhere(folder: Path) -> list[str]:
    base = models.base(folder)
    shutil.copy(base / WEIGHTS, folder / "other.safetensors")
    models.edit(base / "config.json", transformers_weights="../other.safetensors")
    return asked()


@CASES.case(
    "a pickle that `config.json` names as the weights",
    error="model=base: config.json: transformers_weights='adapter_model.bin' is no safetensors file",
    script="chat",
)
def weights_as_pickle(folder: Path) -> list[str]:
    base = models.base(folder)
    models.pickled(base / "adapter_model.bin")
    models.edit(base / "config.json", transformers_weights="adapter_model.bin")
    return asked()


@CASES.case("half a `tokenizer.json`", error="model_name_or_path=base: base/tokenizer.json is no JSON: …")
def broken_tokenizer(folder: Path) -> list[str]:
    models.halve(models.base(folder) / "tokenizer.json")
    return trained(folder)


@CASES.case(
    "half a `tokenizer_config.json`",
    error="model=base: base/tokenizer_config.json is no JSON: …",
    script="chat",
)
def broken_tokenizer_config(folder: Path) -> list[str]:
    models.halve(models.base(folder) / "tokenizer_config.json")
    return asked()


@CASES.case(
    "no tokenizer",
    error="model=base: base holds no tokenizer: copy its files there, tokenizer.json or others",
    script="chat",
)
def no_tokenizer(folder: Path) -> list[str]:
    base = models.base(folder)
    (base / "tokenizer.json").unlink()
    (base / "tokenizer_config.json").unlink()
    return asked()


@CASES.case(
    "a chat template that looks for Python's classes",
    error=(
        "the chat template cannot write a prompt: access to attribute '__class__' of 'str' object is unsafe."
    ),
)
def template_escapes(folder: Path) -> list[str]:
    base = models.base(folder)
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (base / "chat_template.jinja").write_text(
        escape + "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    return trained(folder)


@CASES.case(
    "a chat template whose name leads out of the folder",
    error=(
        "model_name_or_path=base: the tokenizer has a chat template named '../../../../sprung', which "
        "is no name for a file"
    ),
)
def template_name(folder: Path) -> list[str]:
    base = models.base(folder)
    templates = [{"name": "default", "template": "a"}, {"name": "../../../../sprung", "template": "b"}]
    models.edit(base / "tokenizer_config.json", chat_template=templates)
    return trained(folder)


@CASES.case(
    "text for a number in `generation_config.json`",
    error="model=base: its files cannot be used: TypeError: …",
    script="chat",
)
def generation_config(folder: Path) -> list[str]:
    models.edit(models.base(folder) / "generation_config.json", max_new_tokens="many")
    return asked()


@CASES.case(
    "half a `generation_config.json`",
    error="model=base: base/generation_config.json is no JSON: …",
    script="chat",
)
def broken_generation_config(folder: Path) -> list[str]:
    models.halve(models.base(folder) / "generation_config.json")
    return asked()
