"""Log-probabilities of given token sequences, without decoding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cctuning.analysis.transplant.decoding import Rows
from cctuning.analysis.transplant.trees import Trees


def option_log_probabilities(batch: Rows, logits: Tensor, trees: Trees) -> list[Tensor]:
    """For each of Q questions the nats (C, options) float64 of its options after each of its rows.

    `logits` (R, V) predict the first token; the options of a question are a tree. Equal to one forward for
    every row and option.
    """
    rest = batch.after(trees) if trees.tokens.numel() else None
    scores = []
    for question, sequences in enumerate(trees.predictions):
        span = slice(question * batch.slots, (question + 1) * batch.slots)
        scores.append(sums(sequences, logits[span], None if rest is None else rest[span]))
    return scores


def sums(sequences: Sequence[Sequence[tuple[int, int]]], first: Tensor, rest: Tensor | None) -> Tensor:
    """The nats (C, sequences) from logits before a tree (C, V) and after its nodes (C, n, V).

    A sequence is tokens, each with the node that predicts it; its first one is predicted before the tree.
    """
    norm = first.logsumexp(-1)
    norms = None if rest is None else rest.logsumexp(-1)
    columns = []
    for (_, token), *others in sequences:
        column = (first[:, token] - norm).double()
        if others:
            assert rest is not None and norms is not None, "what has a second token has a node"
            nodes, tokens = torch.tensor(others, device=rest.device).T
            column = column + (rest[:, nodes, tokens] - norms[:, nodes]).double().sum(-1)
        columns.append(column)
    return torch.stack(columns, -1) if columns else first.new_empty(len(first), 0, dtype=torch.float64)
