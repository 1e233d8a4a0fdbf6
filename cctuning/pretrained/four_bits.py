"""Weights of four bits (QLoRA): a base model quantised as it is loaded, by bitsandbytes, and made plain.

An adapter that was trained on them belongs to the numbers that they stand for, not to those that they were
made of; so the folder of an adapter says how its base was quantised.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from cctuning.pretrained.kinds import GGUF_SUFFIX, QUANTIZATION_FILE, ModelError, read_json_object
from cctuning.pretrained.loading import from_library, load_causal_lm
from cctuning.pretrained.weights import check_finite
from cctuning.tools.extras import extra
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json

_DTYPE = "dtype"  # of the weights before they were quantised, in the file


def check_installed() -> None:
    """Raises `ImportError` that says how to install bitsandbytes, where it is missing."""
    with extra("qlora"):
        importlib.import_module("bitsandbytes")


def check_not_quantised(config: Any) -> None:
    """Raises `ModelError` for the configuration of a model whose files hold quantised weights."""
    settings = getattr(config, "quantization_config", None)
    if settings is not None:
        method = settings.get("quant_method") if isinstance(settings, Mapping) else settings.quant_method
        raise ModelError(
            f"its weights are quantised already ({getattr(method, 'value', method)}), and what is trained on "
            "them could not be merged: take the model that it was made of, with load_in_4bit=true where it "
            "is to be small"
        )


def load_four_bits(source: str | Path, settings: Mapping[str, Any], *, dtype: str, **options: Any) -> Any:
    """As `load_causal_lm`, the linear layers but the LM head in four bits.

    `settings` are those of `BitsAndBytesConfig`; `dtype` is that of the weights that are quantised, and of
    all others. Raises as `load_causal_lm` does, `ImportError` without bitsandbytes, and `ModelError` for a
    model that cannot be made plain again.
    """
    if Path(source).suffix == GGUF_SUFFIX:
        raise ModelError(
            "a GGUF file is quantised already: make a folder of plain weights first, with cctuning prepare "
            f"model {source} --output FOLDER"
        )
    check_installed()
    config = from_library(lambda: BitsAndBytesConfig.from_dict(dict(settings)))
    model = load_causal_lm(source, quantization_config=config, dtype=dtype, **options)
    for name, module in model.named_modules():
        if not is_four_bit(module):
            continue
        if issubclass(module.source_cls, Conv1D):
            raise ModelError(
                f"load_in_4bit: {name} holds its matrix transposed (Conv1D), and could not be merged: train "
                "it with load_in_4bit=false"
            )
        # On some CPUs an evaluation would pack the weights anew, in a form that passes no gradient on.
        module.support_avx512bf16_for_cpu = False
        scale = module.weight.quant_state
        check_finite({name: scale.offset if scale.nested else scale.absmax}, source)
    return model


def is_four_bit(module: Any) -> bool:
    """Whether the weight of a module is one of four bits."""
    return type(getattr(module, "weight", None)).__name__ == "Params4bit"


def save_quantization(model: Any, folder: str | Path) -> None:
    """Writes beside an adapter how `model`, its base, was quantised; nothing where it was not."""
    if getattr(model, "is_loaded_in_4bit", False):
        settings = model.config.quantization_config.to_dict()
        settings[_DTYPE] = str(model.config.dtype).removeprefix("torch.")
        write_whole(Path(folder) / QUANTIZATION_FILE, to_json(settings, indent=2) + "\n")


def load_as_trained(folder: str | Path, source: str | Path, *, dtype: Any = "auto", **options: Any) -> Any:
    """The base model of the adapter in `folder`, with plain weights: those that it was trained on.

    Where it was quantised that is what its four bits stand for, in `dtype`. `options` as of `load_causal_lm`.
    Raises as `load_four_bits` does.
    """
    settings = read_json_object(Path(folder) / QUANTIZATION_FILE)
    if not settings:
        return load_causal_lm(source, dtype=dtype, **options)
    quantised_from = settings.pop(_DTYPE, None)
    if settings.get("load_in_4bit") is not True or quantised_from not in ("float32", "bfloat16", "float16"):
        raise ModelError(
            f"{Path(folder) / QUANTIZATION_FILE} must say load_in_4bit, and the dtype of the weights that "
            "were quantised: it is damaged, or of another version"
        )
    model = load_four_bits(source, settings, dtype=quantised_from, **options)
    return dequantised(model, quantised_from if dtype in (None, "auto") else dtype)


def dequantised(model: Any, dtype: str | torch.dtype) -> Any:
    """The same model with the plain numbers that its four bits stand for, all weights in `dtype`."""
    plain = model.dequantize()
    plain.is_loaded_in_4bit = False
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    for weight in plain.parameters():  # not the buffers: those of rotary embeddings are float32 in any dtype
        weight.data = weight.data.to(dtype)
    plain.config.dtype = dtype
    return plain
