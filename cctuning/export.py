"""Exports a fitted model that needs one language only, and only transformers to run."""

import copy
import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cctuning.connection import modeling_cctuning
from cctuning.connection.adapters import check_not_tied
from cctuning.connection.connected import constants_of
from cctuning.connection.modeling_cctuning import OWN_TRANSFORM, CrossLingualConnection
from cctuning.data.prompts import PromptFormat
from cctuning.pretrained.generation_config import make_savable

MODELING_FILE = Path(modeling_cctuning.__file__)


def export_monolingual(
    model: Any,
    tokenizer: Any,
    transform: Any,
    output_dir: str | Path,
    *,
    into_english: Mapping[str, str] | None = None,
) -> Path:
    """Writes `model` with its Transform Matrix to `output_dir`, as a folder that loads without this package.

    `AutoModelForCausalLM.from_pretrained(output_dir, trust_remote_code=True)` is connected, from the model's
    own outputs times W_T; without `trust_remote_code` the same folder is the plain base model. The
    configuration names the connected class (`architectures`), so that who goes by that name (transformers
    serve, vLLM, SGLang, llama.cpp) does not take it for the base model.

    Args:
        model: a `CCTuningModel`; around it may be a PEFT adapter, which is merged into it for good.
        tokenizer: is saved beside it; its chat template tells which tokens mark the response start.
        transform: W_T (d, d), a tensor or array with F @ W_T ~ F_en; (d + 1, d) where its last row is to be
            added, see `affine`. Kept in the model's dtype.
        output_dir: is created.
        into_english: by language code the words, with {text} in the prompt's place, that ask the model for
            its English: with these, `generate(prompt_language="sw")` puts prompts into English by itself.

    Raises `ModelError` for an adapter of a matrix that is shared, `TypeError` for a model without a
    connection, `ValueError` for a pooling that the modeling file does not hold, and for a matrix of another
    size, with integers, or with values that the model's dtype cannot hold as finite numbers.
    """
    if hasattr(model, "merge_and_unload"):
        check_not_tied(model)
        model = model.merge_and_unload()
    if not isinstance(model, CrossLingualConnection):
        raise TypeError(
            f"{type(model).__name__} has no connection to export: wrap it or load a CC-Tuning run"
        )
    pooling = type(model.pooling)
    if pooling.__module__ != CrossLingualConnection.__module__:
        raise ValueError(
            f"pooling={model.connection.pooling!r} is {pooling.__module__}.{pooling.__name__}, and an "
            f"exported model carries {MODELING_FILE.name} alone: define it there"
        )
    hidden_size = model.config.get_text_config().hidden_size
    matrix = _checked(torch.as_tensor(transform), hidden_size, model.dtype)

    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    marker = PromptFormat(tokenizer).response_marker if tokenizer.chat_template else model.response_marker
    base = type(model).__name__.removeprefix("CCTuning")
    config = copy.deepcopy(model.config)
    config.auto_map = {"AutoModelForCausalLM": f"{MODELING_FILE.stem}.CCTuning{base}"}
    config.cctuning = {
        "connection": dataclasses.asdict(model.connection),
        "paths": model.paths._asdict(),
        "response_marker": list(marker),
        "hidden_size": hidden_size,
    }
    if affine := len(matrix) > hidden_size:
        config.cctuning["transform_bias"] = True
    if into_english:
        start = PromptFormat(tokenizer).prompt_start
        config.cctuning["into_english"] = {"wordings": dict(into_english), "prompt_start": start}
    needed = {n: value for n, value in constants_of(model).items() if not n.startswith(OWN_TRANSFORM)}
    weights = dict(model.state_dict()) | needed
    # nn.Linear multiplies with the transposed weight: y = x W_T.
    weights["transform_matrix.weight"] = matrix[:hidden_size].T.contiguous()
    if affine:
        weights["transform_matrix.bias"] = matrix[hidden_size].clone()
    _save(model, config, weights, output_dir)
    shutil.copyfile(MODELING_FILE, output_dir / MODELING_FILE.name)
    tokenizer.save_pretrained(output_dir)
    return output_dir


def _checked(matrix: Tensor, hidden_size: int, dtype: torch.dtype) -> Tensor:
    """`matrix` in the model's dtype."""
    if tuple(matrix.shape) not in [(hidden_size, hidden_size), (hidden_size + 1, hidden_size)]:
        raise ValueError(
            f"the transform is {tuple(matrix.shape)}, but the model's hidden size asks for "
            f"({hidden_size}, {hidden_size}), or a row more: was it fitted on another model?"
        )
    if not matrix.is_floating_point():
        raise ValueError(f"the transform holds {matrix.dtype} in place of floating-point numbers")
    kept = matrix.to(dtype)
    if not kept.isfinite().all():
        row, column = (~kept.isfinite()).nonzero()[0].tolist()
        raise ValueError(
            f"the transform's entry [{row}, {column}] is {matrix[row, column].item()}, which {dtype} cannot "
            "hold: fit it again"
        )
    return kept


def _save(model: Any, config: Any, weights: dict[str, Tensor], output_dir: Path) -> None:
    """The base class's `save_pretrained`, with another configuration and more weights than the model has."""
    own_config = model.config
    model.config = config
    make_savable(model.generation_config)
    try:
        super(CrossLingualConnection, model).save_pretrained(output_dir, state_dict=weights)
    finally:
        model.config = own_config
