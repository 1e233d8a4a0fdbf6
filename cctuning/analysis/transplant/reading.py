"""Prompts are read once: what is moved out of the source's, and what the target's rows go on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel

from cctuning.analysis.transplant.attention import States
from cctuning.analysis.transplant.interface import GoesPast, attention_by
from cctuning.analysis.transplant.shared_prefix import Prefix
from cctuning.analysis.transplant.sublayer_outputs import recorded


class Read(NamedTuple):
    """Prompts of B questions, read."""

    activations: Tensor  # (B, L, d): the sub-layers' outputs at each prompt's last token
    tokens: tuple[int, ...]  # B: how many tokens went through the decoder, padding included


def read_sources(model: PreTrainedModel, prompts: Sequence[Tensor], sublayer: str) -> Read:
    """What is moved out of source prompts. Padding on the right needs no mask: attention is causal."""
    ids, last = _padded(prompts, model.device)
    with recorded(model, sublayer, last) as outputs:
        model.get_decoder()(input_ids=ids, use_cache=False)
    return Read(_stacked(outputs), (ids.shape[1],) * len(prompts))


def read_targets(model: PreTrainedModel, prompts: Sequence[Tensor], sublayer: str) -> tuple[Read, Prefix]:
    """Target prompts' own outputs, and the prefix that their rows share: all but their last tokens.

    Raises `GoesPast` where the model's attention cannot be computed on a shared prefix.
    """
    ids, last = _padded(prompts, model.device)
    keeper = _Keeper()
    with recorded(model, sublayer, last) as outputs, attention_by(model, keeper):
        model.get_decoder()(input_ids=ids, use_cache=False)
    if len(keeper.states) != len(outputs):
        raise GoesPast(f"{len(keeper.states)} of {len(outputs)} layers compute attention by the interface")
    lengths = tuple(len(prompt) - 1 for prompt in prompts)
    states = {
        module: States(*(_left_padded(state, lengths) for state in own))
        for module, own in keeper.states.items()
    }
    return Read(_stacked(outputs), (ids.shape[1],) * len(prompts)), Prefix(states, lengths)


class _Keeper:
    """In charge of attention while a prefix is read: as transformers computes it, and keeps what it is of."""

    def __init__(self) -> None:
        self.states: dict[nn.Module, States] = {}

    def attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Any,
        scaling: float,
        softcap: float | None,
    ) -> Tensor:
        if module in self.states:
            raise GoesPast(f"{type(module).__name__} computes attention twice")
        self.states[module] = States(key, value)
        if softcap is not None:
            return _capped(query, key, value, mask, scaling, softcap)
        output, _ = AttentionInterface()["sdpa"](module, query, key, value, mask, scaling=scaling)
        return output

    def mask(self, mask_function: Callable[..., Tensor], **given: Any) -> Any:
        return AttentionMaskInterface()["sdpa"](mask_function=mask_function, **given)


def _capped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, softcap: float
) -> Tensor:
    """Causal attention with a soft cap on its scores, head by head; (B, H, T, d) -> (B, T, H, v)."""
    groups, length = query.shape[1] // key.shape[1], query.shape[2]
    if mask is None:
        mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()[None, None]
    half = query.dtype in (torch.float16, torch.bfloat16)
    outputs = []
    for head in range(query.shape[1]):
        scores = query[:, head] @ key[:, head // groups].mT * scaling
        scores = (torch.tanh(scores / softcap) * softcap).masked_fill_(~mask[:, 0], -torch.inf)
        weights = scores.softmax(-1, dtype=torch.float32 if half else None).to(query.dtype)
        outputs.append(weights @ value[:, head // groups])
    return torch.stack(outputs, 2)


def read_copied(model: PreTrainedModel, prompt: Tensor, sublayer: str) -> tuple[Read, DynamicCache]:
    """The same of one prompt, with its keys and values in a cache of transformers."""
    ids, last = _padded([prompt], model.device)
    cache = DynamicCache()
    with recorded(model, sublayer, last) as outputs:
        model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
    cache.crop(-1)
    return Read(_stacked(outputs), (len(prompt),)), cache


def _padded(prompts: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts (B, T) with zeros on the right, and the places of their last tokens (B,)."""
    ids = nn.utils.rnn.pad_sequence(list(prompts), batch_first=True).to(device)
    return ids, torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)


def _left_padded(state: Tensor, lengths: Sequence[int]) -> Tensor:
    """Keys or values (B, K, T, ·) of prompts as those of their prefixes, (B, K, P, ·), with padding first."""
    if len(set(lengths)) == 1:
        return state[:, :, : lengths[0]]
    moved = state.new_zeros(*state.shape[:2], max(lengths), state.shape[-1])
    for row, length in enumerate(lengths):
        moved[row, :, moved.shape[2] - length :] = state[row, :, :length]
    return moved


def _stacked(outputs: list[Tensor]) -> Tensor:
    return torch.stack([output.to(outputs[0].device) for output in outputs], 1)
