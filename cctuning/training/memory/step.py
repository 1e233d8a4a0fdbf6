"""A training step of one process, as far as memory depends on it, and the model that does it."""

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftConfig, get_peft_model
from transformers import AutoModelForCausalLM

from cctuning.connection.adapters import with_connection
from cctuning.connection.model import CCTuningModel
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.training.checkpointing import enable_checkpointing
from cctuning.training.memory.four_bits import pack_linears


@dataclass(frozen=True)
class Step:
    """One process's training step; the longest batch that there can be."""

    config: Any = field(hash=False)  # of the causal language model
    rows: int  # per forward pass
    tokens: int  # of the longest row, prompt and response
    response_tokens: int  # of the longest response: they reach the LM head on a GPU
    prompt_tokens: int = 0  # of the longest prompt, which a connection may read on its own
    english_tokens: int = 0  # of the longest English prompt
    connection: ConnectionConfig | None = field(default=None, hash=False)  # None: plain fine-tuning
    lora: PeftConfig | None = field(default=None, hash=False)  # None: all weights are trained
    four_bits: bool = False  # of the linear layers below the adapters
    double_quant: bool = True  # their scales in eight bits
    dtype: str = "float32"  # of the weights
    bf16: bool = True  # compute in bfloat16
    checkpointing: bool = True
    reentrant: bool = False
    attention: str | None = None  # eager keeps the T x T scores; others are counted as torch's sdpa
    accumulation: int = 1  # forward passes per optimizer step
    optim: str = "adamw_torch_fused"
    gpu: bool = True
    trust_remote_code: bool = False


def build_model(step: Step, layers: int | None = None) -> Any:
    """The model that is trained, on the meta device, with `layers` decoder layers or all of them.

    Raises what transformers, PEFT and `CCTuningModel.wrap` raise for settings that do not fit.
    """
    config = copy.deepcopy(step.config)
    if layers is not None:
        text = config.get_text_config()
        if getattr(text, "layer_types", None):
            text.layer_types = text.layer_types[:layers]
        text.num_hidden_layers = layers
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(
            config,
            dtype=getattr(torch, step.dtype),
            attn_implementation="eager" if step.attention == "eager" else None,  # None: sdpa, if it has it
            trust_remote_code=step.trust_remote_code,
        )
        if step.four_bits:
            compute = torch.bfloat16 if step.bf16 else getattr(torch, step.dtype)
            pack_linears(model, compute_dtype=compute, double_quant=step.double_quant)
        if step.connection is not None:
            model = CCTuningModel.wrap(model, _within(step.connection, layers))
        if step.lora is not None:
            model = get_peft_model(model, with_connection(step.lora, model))
    if step.checkpointing:
        enable_checkpointing(model, reentrant=step.reentrant)
        if step.lora is not None:
            model.enable_input_require_grads()
    return model.train()


def _within(connection: ConnectionConfig, layers: int | None) -> ConnectionConfig:
    """The connection with its layers among `layers`: which they are makes no difference to memory."""
    if layers is None:
        return connection
    numbers = {name: getattr(connection, name) for name in ("layer", "target_layer")}
    changes = {
        name: max(-layers, min(number, layers - 1)) for name, number in numbers.items() if number is not None
    }
    return dataclasses.replace(connection, **changes)


def decoder_layers(base: Any) -> Any:
    """The decoder layers of a causal language model, whatever its architecture calls them."""
    lists = [module for module in base.get_decoder().modules() if isinstance(module, torch.nn.ModuleList)]
    return max(lists, key=len)
