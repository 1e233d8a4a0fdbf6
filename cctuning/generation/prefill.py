"""Reading a batch of prompts in groups of like length, into one cache that all of them go on from.

Tokens are written one at a time, and a large batch writes fastest. To read it at once, though, is slow: short
prompts are padded to the longest, and on a CPU the activations of so many tokens leave its caches.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache, DynamicLayer

from cctuning.connection.connected import is_connected
from cctuning.data.batches import pad, plan_batches

_TOKENS = {"cpu": 1024}  # of a group, padded; on other devices:
_MOST_TOKENS = 16384


@torch.no_grad()
def prefill(model: Any, ids: Sequence[Sequence[int]]) -> DynamicCache | None:
    """A cache of all prompts but for their last tokens, padded on the left.

    None where that would save nothing, and where the groups' caches cannot be joined: a layer that keeps its
    last tokens only (a sliding window) or another kind of state, a decoder that takes no positions. The
    connection has no part in this: it is at the last token.
    """
    length = max(map(len, ids)) - 1
    lengths = [len(prompt) - 1 for prompt in ids]
    groups = plan_batches(lengths, batch_tokens=tokens_at_once(model.device.type))
    if len(groups) < 2 or not _can_join(model):
        return None
    parts = [_read(model, [ids[number][:-1] for number in group]) for group in groups]
    order = torch.tensor([number for group in groups for number in group], device=model.device).argsort()
    layers = []
    for of_layer in zip(*(part.layers for part in parts), strict=True):
        states = ([layer.keys for layer in of_layer], [layer.values for layer in of_layer])
        keys, values = (torch.cat([_padded(state, length) for state in part])[order] for part in states)
        layers.append((keys, values))
    return DynamicCache(layers, config=_config(model))


def _config(model: Any) -> Any:
    return model.config.get_text_config(decoder=True)


def _can_join(model: Any) -> bool:
    layers = DynamicCache(config=_config(model)).layers
    takes_positions = "position_ids" in inspect.signature(type(model.get_decoder()).forward).parameters
    return takes_positions and bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _padded(state: Tensor, length: int) -> Tensor:
    """Keys or values (b, heads, t, d) with zeros before them, `length` in all; nothing attends to those."""
    return functional.pad(state, (0, 0, length - state.shape[-2], 0))


def tokens_at_once(device: str) -> int:
    """The number of prompt tokens that a kind of device reads fastest, padding included."""
    return _TOKENS.get(device, _MOST_TOKENS)


def _read(model: Any, prompts: Sequence[Sequence[int]]) -> DynamicCache:
    """The cache of some prompts, padded on the left to the longest of them."""
    ids, mask = (tensor.to(model.device) for tensor in pad(prompts, left=True))
    cache = DynamicCache(config=_config(model))
    given: dict[str, Any] = {"connection_index": -1} if is_connected(model) else {}
    if not mask.all():  # without padding attention is plainly causal, which is faster
        given["attention_mask"] = mask
    model.get_decoder()(
        input_ids=ids,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        **given,
    )
    return cache
