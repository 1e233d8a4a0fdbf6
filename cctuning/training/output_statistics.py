"""Statistics by which a connection centres and scales outputs, measured before the first step of training.

Letters: n rows, L decoder layers, d hidden size.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import broadcast
from torch import Tensor

from cctuning.connection.connected import connection_of
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.data.encoding import Example
from cctuning.training.recorded_pairs import record_pairs

ROWS = 512  # of the sample: the means are of its English prompts


def set_statistics(model: Any, examples: Sequence[Example], *, seed: int, **passes: Any) -> None:
    """Measures the statistics of a connected model on a sample of `examples`, and sets them in it.

    `model` and `passes` are as `record_pairs` takes them; all processes get what one would measure. Raises
    `ValueError` for outputs that are not finite.
    """
    connected = connection_of(model)
    rows = examples if len(examples) <= ROWS else random.Random(seed).sample(examples, ROWS)
    prompts = [(row.input_ids[: row.prompt_length], row.english_input_ids) for row in rows]
    target = connected.connection.target_layer
    results = record_pairs(model, prompts, keep=lambda F: F[:, target], **passes)
    module = connected.output_statistics
    if results:
        english = torch.cat([F_en for _, _, F_en in results])
        mean, scale = measured(english, torch.cat([F for _, F, _ in results]), connected.connection)
        module.mean.copy_(mean)
        module.scale.copy_(scale)
    broadcast([module.mean, module.scale])  # in place


def measured(F_en: Tensor, target: Tensor, connection: ConnectionConfig) -> tuple[Tensor, Tensor]:
    """The means (L, d) and scales (L,), in float64, from F_en (n, L, d) and the outputs that f is added to.

    `target` (n, d): the target layer's own outputs. A layer whose outputs differ by no more than rounding is
    scaled by 0: centred, it would be made of that rounding alone.
    """
    if not (F_en.isfinite().all() and target.isfinite().all()):
        raise ValueError(
            "outputs of the base model at the response start are not finite: connection.centred and "
            "connection.scale cannot be measured; try another dtype"
        )
    layers = range(F_en.shape[1])
    mean = torch.zeros(F_en.shape[1:], dtype=torch.float64)
    if connection.centred:
        mean = torch.stack([F_en[:, layer].double().mean(0) for layer in layers])
    sizes = torch.stack([(F_en[:, layer].double() - mean[layer]).norm(dim=-1).mean() for layer in layers])
    before = torch.stack([F_en[:, layer].double().norm(dim=-1).mean() for layer in layers])
    scale = torch.ones_like(sizes)
    if connection.scale is not None:
        scale = connection.scale * target.double().norm(dim=-1).mean() / sizes
    return mean, torch.where(sizes > _rounding(F_en) * before, scale, 0.0)


def _rounding(outputs: Tensor) -> float:
    """By what part of their size equal outputs may differ, as batches of other shapes compute them."""
    for half in (torch.bfloat16, torch.float16):
        if torch.equal(outputs.to(half).to(outputs.dtype), outputs):  # what they were computed in
            return torch.finfo(half).eps / 16
    return 32 * torch.finfo(outputs.dtype).eps
