"""Statistics by which a connection centres and scales outputs, measured before the first step of training.

Letters: n rows, L decoder layers, d hidden size.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cctuning.connection.connected import connection_of
from cctuning.connection.modeling_cctuning import ConnectionConfig, record_outputs
from cctuning.data.batches import pad, plan_batches
from cctuning.data.encoding import Example
from cctuning.distributed.sharing import Shard, from_the_first, in_turns

ROWS = 512  # of the sample: the means are of its English prompts


def set_statistics(
    model: Any, examples: Sequence[Example], *, pad_token_id: int, batch_size: int, seed: int, shard: Shard
) -> None:
    """Measures the statistics of a connected model on a sample of `examples`, and sets them in it.

    `model` is the outermost module, with whatever an engine or PEFT has put around it: its forward is what
    runs, in eval mode and without the connection. All processes take part, and get what one would measure.
    Raises `ValueError` for outputs that are not finite.
    """
    connected = connection_of(model)
    rows = examples if len(examples) <= ROWS else random.Random(seed).sample(examples, ROWS)
    prompts = [(row.input_ids[: row.prompt_length], row.english_input_ids) for row in rows]
    modules = [layer.get_submodule(connected.paths.record) for layer in connected.decoder_layers]

    def outputs(sequences: Sequence[Sequence[int]]) -> Tensor:
        ids, mask = (tensor.to(connected.device) for tensor in pad(sequences, pad_token_id))
        with record_outputs(modules, mask.sum(-1) - 1) as found:
            model(input_ids=ids, attention_mask=mask, connection_index=-1, use_cache=False, logits_to_keep=1)
        return torch.stack([output.to(connected.device) for output in found], dim=1)

    def of_batch(places: list[int]) -> tuple[Tensor, Tensor]:
        own, english = zip(*(prompts[place] for place in places), strict=True)
        target = outputs(own)[:, connected.connection.target_layer]
        return target.float(), outputs(english).float()

    batches = plan_batches([max(map(len, pair)) for pair in prompts], batch_size=batch_size)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        results = [[part.cpu() for part in parts] for _, parts in in_turns(batches, of_batch, shard)]
    model.train(was_training)
    values: Any = None
    if shard.rank == 0:
        target, english = (torch.cat(parts) for parts in zip(*results, strict=True))
        values = [statistic.tolist() for statistic in measured(english, target, connected.connection)]
    mean, scale = from_the_first(values, shard, connected.device)
    module = connected.output_statistics
    module.mean.copy_(torch.tensor(mean))
    module.scale.copy_(torch.tensor(scale))


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
