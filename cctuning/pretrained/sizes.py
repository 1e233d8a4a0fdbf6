"""Sizes in a model's configuration: those that no model has are refused before memory is taken for them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.utils import CONFIG_NAME

from cctuning.pretrained.kinds import ModelError
from cctuning.pretrained.weights import shapes_of

# Far above the largest models: 126 layers, a vocabulary of 262,144, a context of ten million tokens.
_LARGEST = 2**25
_MOST_LAYERS = 1000
_LAYERS = re.compile(r"(num_(\w+_)?layers|n_layers?|\w+_layers)")
_SIZES = re.compile(r"(num|n|d|max)_\w+|\w+_(size|dim|length|positions|embeddings|rank|heads)")
_TIMES_LARGER = 2  # what a model may need beside its weights: what is missing is named


def check_sizes(config: Mapping[str, Any], group: str = "") -> None:
    """Raises `ModelError` for a size in the content of a config.json that no model has."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            check_sizes(value, f"{group}{name}.")
        elif type(value) is int:
            layers = _LAYERS.fullmatch(str(name)) is not None
            most = _MOST_LAYERS if layers else _LARGEST if _SIZES.fullmatch(str(name)) else None
            # -1 stands for "none" in some.
            if most is not None and not -1 <= value <= most:
                raise ModelError(f"{CONFIG_NAME}: {group}{name}={value:,} is no size of a model")


def check_described(build: Callable[[], nn.Module], config: Any, folder: Path | None) -> None:
    """Raises `ModelError` where the model that `build` makes cannot be that of the weights in `folder`.

    It is built without memory for its weights; with `folder` None only that is tried.
    """
    layers = getattr(config.get_text_config(), "num_hidden_layers", 1)
    if not isinstance(layers, int) or layers < 1:
        raise ModelError(f"{CONFIG_NAME}: {layers!r} layers")
    with torch.device("meta"):
        model = build()
    if folder is None:
        return
    held = shapes_of(folder)
    needed = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    differing = sorted(name for name in held.keys() & needed.keys() if held[name] != needed[name])
    if differing:
        raise not_together(differing[0], held[differing[0]], needed[differing[0]], len(differing) - 1)
    weights = sum(torch.Size(shape).numel() for shape in held.values())
    described = sum(parameter.numel() for parameter in model.parameters())
    if described > _TIMES_LARGER * weights:
        raise ModelError(
            f"{CONFIG_NAME} and the weights do not belong together: it describes {described:,} parameters, "
            f"and they hold {weights:,}"
        )


def not_together(name: str, held: tuple[int, ...], needed: tuple[int, ...], others: int) -> ModelError:
    """The error for a tensor of another shape than its model needs, one of `others` more."""
    return ModelError(
        f"{CONFIG_NAME} and the weights do not belong together: {name} is {tuple(held)} and must be "
        f"{tuple(needed)}" + (f" (and {others} more)" if others else "")
    )
