"""Checks of what is to be swept, before anything is read."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from cctuning.analysis.transplant.prompt_pairs import SUBLAYERS, Cell, PromptPair
from cctuning.settings.near_matches import did_you_mean


def check_sublayer(sublayer: str) -> None:
    """Raises `ValueError` for a sub-layer that is none of `SUBLAYERS`."""
    if sublayer not in SUBLAYERS:
        near = did_you_mean(str(sublayer), SUBLAYERS)
        raise ValueError(f"sublayer={sublayer!r} is not one of {', '.join(SUBLAYERS)}{near}")


def check_cells(cells: Iterable[Any], layers: int) -> list[Cell]:
    """Cells of a model with so many layers, as tuples of pairs.

    Raises `ValueError` for none at all, for what is no pair of whole numbers, for a layer that the model does
    not have, and for a target layer that a cell gives two outputs.
    """
    checked = [_cell(cell, f"cell {number}", layers) for number, cell in enumerate(cells)]
    if not checked:
        raise ValueError("cells is empty: name at least one; () is the model as it is")
    return checked


def _cell(cell: Any, name: str, layers: int) -> Cell:
    try:
        swaps = tuple((source, target) for source, target in cell)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {cell!r}: give a list of (source layer, target layer) pairs") from None
    for swap in swaps:
        for side, layer in zip(("source", "target"), swap, strict=True):
            if isinstance(layer, bool) or not isinstance(layer, Integral):
                raise ValueError(f"{name} has {side} layer {layer!r}: a layer is a whole number, from 0")
            if not 0 <= int(layer) < layers:
                raise ValueError(f"{name} has {side} layer {layer}: the model has layers 0 to {layers - 1}")
    targets = [target for _, target in swaps]
    for target in targets:
        if targets.count(target) > 1:
            raise ValueError(f"{name} replaces target layer {target} twice: a layer has one output")
    return tuple((int(source), int(target)) for source, target in swaps)


def check_pairs(pairs: Any, layers: int) -> list[Cell]:
    """Cells from `pairs`: (i, j) is one swap, a list of (i, j) is swaps at once; None is all L * L pairs.

    Raises `ValueError` as `check_cells` does.
    """
    if pairs is None:
        return [((source, target),) for source in range(layers) for target in range(layers)]
    if isinstance(pairs, Tensor):
        pairs = pairs.tolist()
    try:
        cells = [[pair] if _is_pair(pair) else pair for pair in pairs]
    except TypeError:
        raise ValueError(f"pairs={pairs!r} is no list of (source layer, target layer) pairs") from None
    if not cells:
        raise ValueError("pairs is empty: name at least one (source layer, target layer), or leave it out")
    return [_cell(cell, f"pairs[{number}]", layers) for number, cell in enumerate(cells)]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, Sequence) and len(pair) > 0 and all(isinstance(layer, Integral) for layer in pair)


def check_new_tokens(max_new_tokens: Any, options: bool) -> None:
    """Raises `ValueError` unless at least one token is written, or none where there are options to score."""
    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int):
        raise ValueError(f"max_new_tokens={max_new_tokens!r} must be a whole number")
    if max_new_tokens < (0 if options else 1):
        least = "0, which only scores options" if options else "1; 0 is for questions with options to score"
        raise ValueError(f"max_new_tokens={max_new_tokens} must be at least {least}")


def check_rows(rows: Any) -> None:
    """Raises `ValueError` unless `rows` is None or a whole number above 0."""
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise ValueError(f"rows={rows!r} must be a whole number above 0, or None for as many as memory holds")


def check_question(
    model: PreTrainedModel, question: PromptPair, name: str, max_new_tokens: int, positions: int = 1
) -> PromptPair:
    """The question with ids as int64.

    Raises `ValueError` for prompts and options that are empty, no 1-D tensors of whole numbers, hold tokens
    that the model does not have, or go past its positions, and for prompts of fewer tokens than `positions`,
    at which there is an intervention.
    """
    source = check_ids(model, question.source_ids, f"{name}.source_ids")
    target = check_ids(model, question.target_ids, f"{name}.target_ids")
    for side, ids in (("source", source), ("target", target)):
        if len(ids) < positions:
            raise ValueError(
                f"{name}.{side}_ids has {len(ids)} tokens, and positions={positions}: take fewer positions"
            )
    options = [
        check_ids(model, torch.tensor(option), f"{name}.option_ids[{number}]")
        for number, option in enumerate(question.option_ids)
    ]
    new = max([max_new_tokens, *map(len, options)])
    check_positions(model, len(source), 0, f"{name}.source_ids")
    check_positions(model, len(target), new, f"{name}.target_ids")
    return PromptPair(source, target, tuple(tuple(option.tolist()) for option in options))


def check_ids(model: PreTrainedModel, ids: Any, name: str) -> Tensor:
    """Token ids (P,) as int64; `ValueError` for what are none."""
    if not isinstance(ids, Tensor) or ids.dim() != 1:
        shape = f"has shape {tuple(ids.shape)}" if isinstance(ids, Tensor) else f"is a {type(ids).__name__}"
        raise ValueError(f"{name} {shape}: give a 1-D tensor of token ids, without a batch dimension")
    if not len(ids):
        raise ValueError(f"{name} is empty: a prompt or an option needs at least one token")
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ValueError(f"{name} holds {ids.dtype}: token ids are whole numbers")
    embeddings: Any = model.get_input_embeddings()
    vocabulary = len(embeddings.weight)
    for token in (int(ids.min()), int(ids.max())):
        if not 0 <= token < vocabulary:
            raise ValueError(f"{name} holds token {token}: the model has tokens 0 to {vocabulary - 1}")
    return ids.long()


def check_positions(model: PreTrainedModel, prompt: int, new: int, name: str) -> None:
    """Raises `ValueError` where a prompt and what follows it are longer than the model's positions."""
    positions = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    more = f" and {new} new ones" if new else ""
    if positions is not None and prompt + new > positions:
        raise ValueError(
            f"{name} has {prompt} tokens{more}, and the model has {positions} positions: shorten the prompt"
        )
    original = _switches_at(model)
    if original is not None and prompt <= original < prompt + new:
        raise ValueError(
            f"{name} has {prompt} tokens{more}, and the model's positions change beyond {original}: make the "
            "prompt longer or shorter, so that prompt and new tokens lie on one side"
        )


def depends_on_the_longest(model: PreTrainedModel) -> bool:
    """Whether a prompt's positions depend on the others in its batch, so that it has to be read alone."""
    return _switches_at(model) is not None


def _switches_at(model: PreTrainedModel) -> int | None:
    """The number of tokens beyond which rotary positions turn at other angles ("longrope")."""
    config = model.config.get_text_config(decoder=True)
    parameters = getattr(config, "rope_parameters", None) or {}
    if parameters.get("rope_type") != "longrope":
        return None
    known = parameters.get("original_max_position_embeddings")
    return int(known or config.original_max_position_embeddings)
