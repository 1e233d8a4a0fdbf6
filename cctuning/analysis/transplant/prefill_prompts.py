"""Prompts are read once: what is moved out of the source's, and what the target's rows go on from.

Padding stands on the right and needs no mask: attention is causal. Letters: Q prompts, b of them read at
once, T tokens, k positions, L layers, d hidden size, V vocabulary.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from cctuning.analysis.transplant.interface import attention_by
from cctuning.analysis.transplant.keeper import Keeper
from cctuning.analysis.transplant.shared_prefix import Prefix
from cctuning.analysis.transplant.sublayer_outputs import record_sublayer
from cctuning.data.batches import plan_batches
from cctuning.generation.prefill import tokens_at_once


class Prefill(NamedTuple):
    """Prompts that were read."""

    activations: Tensor  # (Q, L, k, d): the sub-layers' outputs at each prompt's last k tokens
    tokens: tuple[int, ...]  # Q: how many tokens went through the decoder, padding included


def prefill_sources(
    model: PreTrainedModel, prompts: Sequence[Tensor], sublayer: str, positions: int = 1
) -> Prefill:
    """Activations to move out of source prompts, of their last tokens."""
    decoder = model.get_decoder()
    return _read(model, prompts, sublayer, positions, lambda ids, _: decoder(input_ids=ids, use_cache=False))


def prefill_targets(
    model: PreTrainedModel, prompts: Sequence[Tensor], sublayer: str, positions: int = 1
) -> tuple[Prefill, Prefix]:
    """Target prompts' own outputs, and the prefixes that their rows share: all but their last `positions`.

    Raises `GoesPast` where the model's attention cannot be computed on a shared prefix.
    """
    decoder = model.get_decoder()
    keeper = Keeper([len(prompt) - positions for prompt in prompts])

    def forward(ids: Tensor, group: list[int]) -> None:
        keeper.begin(group)
        with attention_by(model, keeper):
            decoder(input_ids=ids, use_cache=False)

    read = _read(model, prompts, sublayer, positions, forward)
    return read, keeper.prefix(layers=read.activations.shape[1])


def read_copied(
    model: PreTrainedModel, prompt: Tensor, sublayer: str, positions: int = 1
) -> tuple[Prefill, DynamicCache]:
    """The same of one prompt, with its keys and values in a cache of transformers."""
    decoder, cache = model.get_decoder(), DynamicCache()
    read = _read(
        model,
        [prompt],
        sublayer,
        positions,
        lambda ids, _: decoder(input_ids=ids, past_key_values=cache, use_cache=True),
    )
    cache.crop(-positions)
    return read, cache


def read_whole(model: PreTrainedModel, prompt: Tensor, layers: int) -> tuple[Tensor, Prefix]:
    """Logits (1, V) of what follows a prompt, and all of it as a prefix; `GoesPast` as above."""
    keeper = Keeper([len(prompt)])
    keeper.begin([0])
    with attention_by(model, keeper):
        logits = _last_logits(model, prompt, use_cache=False)
    return logits, keeper.prefix(layers=layers)


def read_whole_copied(model: PreTrainedModel, prompt: Tensor) -> tuple[Tensor, DynamicCache]:
    """The same, with keys and values in a cache of transformers."""
    cache = DynamicCache()
    return _last_logits(model, prompt, past_key_values=cache, use_cache=True), cache


def _last_logits(model: PreTrainedModel, prompt: Tensor, **given: Any) -> Tensor:
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        given["logits_to_keep"] = 1
    logits = model(input_ids=prompt[None].to(model.device), **given).logits[:, -1]
    return logits if logits.dtype == torch.float64 else logits.float()


def _read(
    model: PreTrainedModel,
    prompts: Sequence[Tensor],
    sublayer: str,
    positions: int,
    forward: Callable[[Tensor, list[int]], Any],
) -> Prefill:
    """Reads the prompts in groups of like length: `forward` takes ids (b, T) and the prompts' numbers."""
    outputs: list[Tensor] = [torch.empty(0)] * len(prompts)
    tokens = [0] * len(prompts)
    lengths = [len(prompt) for prompt in prompts]
    for group in plan_batches(lengths, batch_tokens=tokens_at_once(model.device.type)):
        rows = [prompts[number] for number in group]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(model.device)
        ends = torch.tensor([lengths[number] for number in group], device=model.device)
        last = ends - torch.arange(positions, 0, -1, device=model.device)[:, None]  # (k, b)
        with record_sublayer(model, sublayer, last) as layers:
            forward(ids, group)
        stacked = torch.stack([layer.to(model.device) for layer in layers])  # (L, k, b, d)
        for number, activations in zip(group, stacked.permute(2, 0, 1, 3), strict=True):
            outputs[number], tokens[number] = activations, ids.shape[1]
    return Prefill(torch.stack(outputs), tuple(tokens))
