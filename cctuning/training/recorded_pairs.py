"""Outputs of a model at the response starts of prompts and of their English parallels, under any engine."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from cctuning.connection.connected import connection_of
from cctuning.connection.modeling_cctuning import record_outputs
from cctuning.data.batches import pad, plan_batches
from cctuning.distributed.sharing import Shard, in_turns

PromptPair = tuple[Sequence[int], Sequence[int]]  # the prompt and its English parallel, as tokens


@torch.no_grad()
def record_pairs(
    model: Any,
    prompts: Sequence[PromptPair],
    *,
    pad_token_id: int,
    batch_size: int,
    shard: Shard,
    keep: Callable[[Tensor], Tensor] = lambda F: F,
) -> list[tuple[list[int], Tensor, Tensor]]:
    """Per batch the places of its pairs, `keep` of F (b, L, d), and F_en (b, L, d), in at least float32.

    `model` is the outermost module, with whatever an engine or PEFT has put around it: its forward is what
    runs, in eval mode and without the connection. All processes take part, and the first one gets everything;
    the others get nothing.
    """
    connected = connection_of(model)
    modules = [layer.get_submodule(connected.paths.record) for layer in connected.decoder_layers]

    def outputs(sequences: Sequence[Sequence[int]]) -> Tensor:
        ids, mask = (tensor.to(connected.device) for tensor in pad(sequences, pad_token_id))
        with record_outputs(modules, mask.sum(-1) - 1) as found:
            model(input_ids=ids, attention_mask=mask, connection_index=-1, use_cache=False, logits_to_keep=1)
        stacked = torch.stack([output.to(connected.device) for output in found], dim=1)
        return stacked.to(torch.promote_types(stacked.dtype, torch.float32))

    def of_batch(places: list[int]) -> tuple[Tensor, Tensor]:
        own, english = zip(*(prompts[place] for place in places), strict=True)
        return keep(outputs(own)), outputs(english)

    batches = plan_batches([max(map(len, pair)) for pair in prompts], batch_size=batch_size)
    was_training = model.training
    model.eval()
    results = [(places, F.cpu(), F_en.cpu()) for places, (F, F_en) in in_turns(batches, of_batch, shard)]
    model.train(was_training)
    return results
