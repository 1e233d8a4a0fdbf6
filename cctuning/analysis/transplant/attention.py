"""Attention of many rows over one prefix that they share, and each over a suffix of its own.

Letters: Q questions with C rows each, R = Q * C rows; n new tokens of a row; H heads in groups that share one
of K key heads, g = H / K; P prefix tokens, S suffix tokens, d width of a key, v of a value.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

# Scores that are in memory at a time: on a CPU as many as its caches hold, elsewhere as many as keep it busy.
_SCORES = {"cpu": 2**22}
_MOST_SCORES = 2**25


@dataclass(frozen=True)
class Visible:
    """Positions that new tokens may attend to. A mask of None is all of it."""

    start: int  # the first prefix token that any of them sees
    prefix: Tensor | None  # (Q or 1, n, P - start), True where it is seen
    suffix: Tensor | None  # (Q or 1, n, S)


class States(NamedTuple):
    """Keys and values."""

    keys: Tensor  # of a prefix: (Q, K, P, d); of suffixes: (R, K, S, d)
    values: Tensor  # the same with v


def attend(
    query: Tensor,
    prefix: States,
    suffix: States,
    visible: Visible,
    *,
    scaling: float,
    softcap: float | None = None,
) -> Tensor:
    """The attention's outputs (R, n, H, v) of the queries (R, H, n, d), under one softmax over P + S.

    softmax(cap(scaling · q · [prefix keys, suffix keys])) · [prefix values, suffix values], where
    cap(x) = softcap · tanh(x / softcap). The softmax is computed in at least float32. The prefix is not
    copied for its rows: their queries are the rows of one matrix product. About `_SCORES` scores, or
    those of one row of each question, are kept at a time, so memory does not grow with R · P.
    """
    questions = prefix.keys.shape[0]
    rows, heads, new, _ = query.shape
    length = prefix.keys.shape[2] - visible.start + suffix.keys.shape[2]
    slots = rows // questions
    per_slot = questions * heads * new * length
    step = max(1, _SCORES.get(query.device.type, _MOST_SCORES) // max(1, per_slot))
    if step >= slots:
        return _attend(query, prefix, suffix, visible, scaling, softcap)
    parts = []
    for begin in range(0, slots, step):
        some = slice(begin, min(begin + step, slots))
        some_suffix = States(*(_of_slots(state, questions, some) for state in suffix))
        part = _attend(_of_slots(query, questions, some), prefix, some_suffix, visible, scaling, softcap)
        parts.append(part.unflatten(0, (questions, -1)))
    return torch.cat(parts, 1).flatten(0, 1)


def _of_slots(tensor: Tensor, questions: int, some: slice) -> Tensor:
    return tensor.unflatten(0, (questions, -1))[:, some].flatten(0, 1)


def _attend(
    query: Tensor, prefix: States, suffix: States, visible: Visible, scaling: float, softcap: float | None
) -> Tensor:
    rows, heads, new, width = query.shape
    questions, key_heads = prefix.keys.shape[:2]
    slots, groups = rows // questions, heads // key_heads
    keys, values = (state[:, :, visible.start :].flatten(0, 1) for state in prefix)  # (Q K, P, ·)
    before, after = keys.shape[1], suffix.keys.shape[2]

    # The queries by question and key head, (Q K, C g n, d), and by row and key head, (R K, g n, d).
    split = query.reshape(questions, slots, key_heads, groups * new, width)
    by_prefix = split.transpose(1, 2).reshape(questions * key_heads, slots * groups * new, width)
    by_row = split.reshape(rows * key_heads, groups * new, width)

    scores = query.new_empty(questions * key_heads, slots * groups * new, before + after)
    if before:
        left = scores[..., :before]
        torch.baddbmm(left, by_prefix, keys.mT, beta=0, alpha=scaling, out=left)
    own_keys, own_values = (state.reshape(rows * key_heads, after, -1) for state in suffix)
    suffix_scores = torch.bmm(by_row, own_keys.mT).mul_(scaling)  # (R K, g n, S)
    right = scores.view(questions, key_heads, slots, groups * new, -1)[..., before:]
    right.copy_(suffix_scores.view(questions, slots, key_heads, groups * new, after).transpose(1, 2))

    if softcap is not None:
        scores.div_(softcap).tanh_().mul_(softcap)
    by_token = scores.view(questions, key_heads, slots * groups, new, -1)
    for mask, columns in ((visible.prefix, slice(before)), (visible.suffix, slice(before, None))):
        if mask is not None:
            by_token[..., columns].masked_fill_(~mask[:, None, None], -torch.inf)

    weights = _weights(scores)
    split = weights.view(questions, key_heads, slots, groups * new, -1)[..., before:].transpose(1, 2)
    mixed = torch.bmm(split.reshape(rows * key_heads, groups * new, after), own_values)
    mixed = mixed.view(questions, slots, key_heads, groups * new, -1)
    if before:
        shared = torch.bmm(weights[..., :before], values)
        mixed = mixed + shared.view(questions, key_heads, slots, groups * new, -1).transpose(1, 2)
    return mixed.reshape(rows, heads, new, -1).transpose(1, 2)


def capped_causal_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, softcap: float
) -> Tensor:
    """Attention with a soft cap within prompts, head by head: (b, H, T, d) -> (b, T, H, v).

    `mask` (b, 1, T, T) is True where a token is seen; None is all that came before. (transformers' attention
    with PyTorch's kernels has no soft cap.)
    """
    groups, length = query.shape[1] // key.shape[1], query.shape[2]
    if mask is None:
        mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()[None, None]
    outputs = []
    for head in range(query.shape[1]):
        scores = (query[:, head] @ key[:, head // groups].mT).mul_(scaling)
        scores.div_(softcap).tanh_().mul_(softcap).masked_fill_(~mask[:, 0], -torch.inf)
        outputs.append(_weights(scores) @ value[:, head // groups])
    return torch.stack(outputs, 2)


def _weights(scores: Tensor) -> Tensor:
    """The softmax over the last dimension, in at least float32."""
    half = scores.dtype in (torch.float16, torch.bfloat16)
    return scores.softmax(-1, dtype=torch.float32 if half else None).to(scores.dtype)
