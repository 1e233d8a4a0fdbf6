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

    `target` (n, d): the target layer's own outputs. A layer whose outputs do not differ is scaled by 0.
    """
    if not (F_en.isfinite().all() and target.isfinite().all()):
        raise ValueError(
            "outputs of the base model at the response start are not finite: connection.centred and "
            "connection.scale cannot be measured; try another dtype"
        )
    layers = F_en.shape[1]
    mean = torch.zeros(F_en.shape[1:], dtype=torch.float64)
    if connection.centred:
        mean = torch.stack([F_en[:, layer].double().mean(0) for layer in range(layers)])
    if connection.scale is None:
        return mean, torch.ones(layers, dtype=torch.float64)
    sizes = torch.stack(
        [(F_en[:, layer].double() - mean[layer]).norm(dim=-1).mean() for layer in range(layers)]
    )
    wanted = connection.scale * target.double().norm(dim=-1).mean()
    return mean, torch.where(sizes > 0, wanted / sizes, 0.0)
