"""Log-probabilities of given token sequences, without decoding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cctuning.analysis.transplant.decoding import Rows
from cctuning.analysis.transplant.trees import Trees


def option_log_probabilities(batch: Rows, logits: Tensor, trees: Trees) -> list[Tensor]:
    """For each of Q questions the nats (C, options) float64 of its options after each of its rows.

    `logits` (R, V) predict the first token. Equal to one forward for every row and option.
    """
    rest = batch.after(trees) if trees.tokens.numel() else None
    scores = []
    for question, sequences in enumerate(trees.predictions):
        own = slice(question * batch.slots, (question + 1) * batch.slots)
        scores.append(_sums(sequences, logits[own], None if rest is None else rest[own]))
    return scores


def _sums(sequences: Sequence[Sequence[tuple[int, int]]], first: Tensor, rest: Tensor | None) -> Tensor:
    """(C, sequences) from logits before a tree (C, V) and after its nodes (C, n, V)."""
    known = first[:, None] if rest is None else torch.cat([first[:, None], rest], 1)
    norms = known.logsumexp(-1)
    columns = []
    for sequence in sequences:
        nodes, tokens = torch.tensor(sequence, device=known.device).T
        picked = known[:, nodes + 1, tokens] - norms[:, nodes + 1]
        columns.append(picked.double().sum(-1))
    return torch.stack(columns, -1) if columns else first.new_empty(len(first), 0, dtype=torch.float64)
