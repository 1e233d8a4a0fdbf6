"""Checks before a training run for what would stop it after its first step, or after its last."""

import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.import_utils import (
    is_flash_attn_2_available,
    is_flash_attn_3_available,
    is_flash_attn_4_available,
)

from cctuning.connection.adapters import check_target_modules
from cctuning.data.encoding import Example
from cctuning.pretrained.loading import positions_of

_FLASH_ATTENTION = {
    "flash_attention_2": is_flash_attn_2_available,
    "flash_attention_3": is_flash_attn_3_available,
    "flash_attention_4": is_flash_attn_4_available,
}


def check_positions(examples: Sequence[Example], config: Any) -> None:
    """Raises `ValueError` for a row or an English prompt of more tokens than the model has positions."""
    positions = positions_of(config)
    if positions is None:
        return
    for example in examples:
        for key, ids, what in (
            ("cutoff_len", example.input_ids, "tokens"),
            ("english_cutoff_len", example.english_input_ids, "tokens of its English prompt"),
        ):
            if len(ids) > positions:
                raise ValueError(
                    f"{example}: {len(ids):,} {what}, and the model has {positions:,} positions: lower {key}"
                )


def check_limits(lengths: Mapping[str, int], config: Any) -> None:
    """Raises `ValueError` for a limit of tokens, by its key, above the model's positions."""
    positions = positions_of(config)
    for key, length in lengths.items():
        if positions is not None and length > positions:
            raise ValueError(
                f"{key}={length} is more than the model's {positions:,} positions, and a row that is read "
                "later may be as long: lower it"
            )


def check_attention(implementation: str | None) -> None:
    """Raises `ValueError` for an attention whose package or GPU is missing."""
    available = _FLASH_ATTENTION.get(implementation or "")
    if available is not None and not available() and find_spec("kernels") is None:
        raise ValueError(
            f"attn_implementation={implementation} needs a GPU and its package: pip install flash-attn, or "
            "leave it to the library with attn_implementation=null"
        )


def check_targets(config: Any, names: Sequence[str], *, trust_remote_code: bool = False) -> None:
    """As `check_target_modules`, of a model of this configuration that has no weights yet."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    model.tie_weights()
    check_target_modules(model, names)


def check_saving(*parts: Any) -> None:
    """Saves what is small, such as a tokenizer and configurations, to a folder of its own.

    Raises `ValueError` or `OSError` for what cannot be saved.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            part.save_pretrained(folder)


def trained_dtype(dtype: str, stored: str, *, adapter: bool) -> str:
    """The dtype of the weights in a training run: `dtype`, or for "auto" the one that they are `stored` in.

    Weights that are trained in float16 are lost: the optimizer's eps and its squared gradients are 0 there.
    Unless float16 is asked for, float32 takes its place; what lies frozen under an `adapter` stays.
    """
    if dtype != "auto":
        return dtype
    return "float32" if stored == "float16" and not adapter else stored
