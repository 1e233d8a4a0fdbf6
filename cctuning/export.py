"""Exports a fitted model that needs one language only, and only transformers to run."""

import copy
import dataclasses
import shutil
from collections.abc import Mapping, Sequence
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
from cctuning.tools.errors import naming_written
from cctuning.transform.affine import factors_of

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
            added, and for a matrix of each layer L of them, which may be two factors: see `affine`. Kept in
            the model's dtype.
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
    factors = factors_of(transform)
    _check_shapes(factors, hidden_size, len(model.decoder_layers))
    factors = tuple(_checked(factor, model.dtype) for factor in factors)

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
    transform_weights, settings = _transform_weights(factors, hidden_size)
    config.cctuning |= settings
    if into_english:
        start = PromptFormat(tokenizer).prompt_start
        config.cctuning["into_english"] = {"wordings": dict(into_english), "prompt_start": start}
    needed = {n: value for n, value in constants_of(model).items() if not n.startswith(OWN_TRANSFORM)}
    weights = dict(model.state_dict()) | needed
    with naming_written(output_dir):
        _save(model, config, weights | transform_weights, output_dir)
        shutil.copyfile(MODELING_FILE, output_dir / MODELING_FILE.name)
        tokenizer.save_pretrained(output_dir)
    return output_dir


def _check_shapes(factors: Sequence[Tensor], d: int, layers: int) -> None:
    shapes = [tuple(factor.shape) for factor in factors]
    rank = shapes[0][-1] if len(shapes) == 2 and shapes[0] else 0
    for several in ((), (layers,)):
        for more in (0, 1):
            low_rank = [(*several, d, rank), (*several, rank + more, d)] if rank else None
            if shapes in ([(*several, d + more, d)], low_rank):
                return
    raise ValueError(
        f"the transform is {' by '.join(map(str, shapes))}, but the model's hidden size asks for ({d}, {d}), "
        f"or ({layers}, {d}, {d}) of its layers, or a row more each: was it fitted on another model?"
    )


def _checked(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """`matrix` in the model's dtype."""
    if not matrix.is_floating_point():
        raise ValueError(f"the transform holds {matrix.dtype} in place of floating-point numbers")
    kept = matrix.to(dtype)
    if not kept.isfinite().all():
        place = (~kept.isfinite()).nonzero()[0].tolist()
        raise ValueError(
            f"the transform's entry {place} is {matrix[tuple(place)].item()}, which {dtype} cannot hold: fit "
            "it again"
        )
    return kept


def _transform_weights(
    factors: Sequence[Tensor], hidden_size: int
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a `TransformMatrix` by their names in the model, and what it is made by."""
    *others, last = factors
    rank = others[0].shape[-1] if others else hidden_size
    names = ("down", "up") if others else ("weight",)
    # It multiplies with the transposed matrix: y = x W_T.
    tensors = {
        name: factor.mT.contiguous()
        for name, factor in zip(names, (*others, last[..., :rank, :]), strict=True)
    }
    settings: dict[str, Any] = {}
    if last.shape[-2] > rank:
        tensors["bias"] = last[..., rank, :].clone()
        settings["transform_bias"] = True
    if last.dim() == 3:
        settings["transform_per_layer"] = True
    if others:
        settings["transform_rank"] = rank
    return {f"transform_matrix.{name}": tensor for name, tensor in tensors.items()}, settings


def _save(model: Any, config: Any, weights: dict[str, Tensor], output_dir: Path) -> None:
    """The base class's `save_pretrained`, with another configuration and more weights than the model has."""
    own_config = model.config
    model.config = config
    make_savable(model.generation_config)
    try:
        super(CrossLingualConnection, model).save_pretrained(output_dir, state_dict=weights)
    finally:
        model.config = own_config
