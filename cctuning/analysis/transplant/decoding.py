"""Greedy decoding of a batch whose rows end one after another.

Letters: Q questions with C rows each, R = Q * C rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from cctuning.analysis.transplant.rules import Rules, choose
from cctuning.analysis.transplant.trees import Trees

# On devices that work ahead of us, we look only so often whether rows have ended: looking means waiting.
_STEPS = {"cpu": 1}
_MOST_STEPS = 4
# A batch is made smaller when at most this share of its rows goes on: of one question, and of several, where
# prefixes have to be copied.
_SHARE, _SHARE_OF_MANY = 15 / 16, 3 / 4


class Rows(Protocol):
    """A batch that reads on from prompts: `SharedRows` or `CopiedRows`."""

    slots: int

    @property
    def questions(self) -> int:
        """Q."""

    def read(self, tokens: Tensor) -> Tensor:
        """Logits (R, n, V) after each of the rows' next tokens (R, n)."""

    def after(self, trees: Trees) -> Tensor:
        """Logits (R, n, V) after each node of the trees that follow the rows; the nodes do not stay."""

    def keep(self, questions: Sequence[int], rows: Tensor) -> None:
        """Goes on with some of the questions, and some rows (len(questions), C') of those."""


class Decoded(NamedTuple):
    """Answers of R rows."""

    tokens: Tensor  # (R, new) int64, padded after the end token
    new_tokens: Tensor  # (R,) int64
    log_probabilities: Tensor  # (R,) float64, of the raw logits
    reads: Tensor  # (Q,) int64: how many tokens were read for each question


def decode(batch: Rows, logits: Tensor, rules: Sequence[Rules], max_new_tokens: int) -> Decoded:
    """What the rows write after their first logits (R, V)."""
    device, rows = logits.device, len(logits)
    # One more row than there are, for copies that fill up a batch: what they write is of no use.
    pad = rules[0].pad if rules else 0
    tokens = torch.full((rows + 1, max_new_tokens), pad, device=device)
    lengths = torch.zeros(rows + 1, dtype=torch.long, device=device)
    totals = torch.zeros(rows + 1, dtype=torch.float64, device=device)
    reads = torch.zeros(batch.questions, dtype=torch.long)

    place = torch.arange(rows, device=device)
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    asked = list(range(batch.questions))
    every = _STEPS.get(device.type, _MOST_STEPS)
    for step in range(max_new_tokens):
        chosen, ends = choose([rules[question] for question in asked], tokens[place, :step], logits)
        goes_on = ~ended
        nats = -functional.cross_entropy(logits, chosen, reduction="none").double()
        totals.index_add_(0, place, goes_on * nats)
        lengths.index_add_(0, place, goes_on.long())
        tokens[place, step] = torch.where(ended, pad, chosen)
        ended = ended | ends
        if step + 1 == max_new_tokens:
            break
        if (step + 1) % every == 0:
            alive = ~ended.cpu()
            if not alive.any():
                break
            if (smaller := _smaller(alive.view(batch.questions, batch.slots))) is not None:
                questions, index, copies = smaller
                batch.keep(questions, index.to(device))
                flat = index.flatten().to(device)
                place = place[flat].masked_fill(copies.flatten().to(device), rows)
                ended, chosen = ended[flat], chosen[flat]
                asked = [asked[question] for question in questions]
        reads[asked] += batch.slots
        logits = batch.read(chosen[:, None])[:, -1]
    return Decoded(tokens[:rows], lengths[:rows], totals[:rows], reads)


def _smaller(alive: Tensor) -> tuple[list[int], Tensor, Tensor] | None:
    """A smaller batch in which all rows `alive` (Q, C) go on; None where it would hardly be smaller.

    Gives the questions, their rows (Q', C') as numbers in the batch, and which of these are copies of others
    only, since every question has the same number of rows.
    """
    questions = alive.any(-1).nonzero()[:, 0]
    counts = alive.sum(-1)[questions]
    slots = int(counts.max())
    share = _SHARE if len(alive) == 1 else _SHARE_OF_MANY
    if len(questions) * slots > share * alive.numel():
        return None
    order = alive[questions].long().argsort(dim=-1, descending=True, stable=True)[:, :slots]
    copies = torch.arange(slots) >= counts[:, None]
    order = torch.where(copies, order[:, :1], order)
    return questions.tolist(), order + questions[:, None] * alive.shape[1], copies
