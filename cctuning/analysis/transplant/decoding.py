"""Greedy decoding of a batch whose rows end one after another.

Letters: Q questions with C rows each, R = Q * C rows, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from cctuning.analysis.transplant.rules import Rules, choose
from cctuning.analysis.transplant.trees import Trees

# On devices that work ahead of us, we look only so often whether rows have ended: looking means waiting.
_STEPS = {"cpu": 1}
_MOST_STEPS = 4
# A batch is made smaller when at most this share of its rows goes on: where only the rows' own tokens are
# copied, and where prefixes of several questions are.
_SHARE, _SHARE_WITH_PREFIX = 0.98, 0.75


class Rows(Protocol):
    """A batch that reads on from prompts: `SharedRows` or `CopiedRows`."""

    model: PreTrainedModel
    slots: int

    @property
    def token_forwards(self) -> list[int]:
        """For each question that the batch began with, padding and copies included."""

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


def decode(
    batch: Rows, logits: Tensor, states: Sequence[int], rules: Sequence[Rules], max_new_tokens: int
) -> Decoded:
    """The tokens that rows write after their first logits (R, V).

    Rows of one state (R,) have the same keys and values so far: where they choose the same first token, one
    of them is read on for all.
    """
    device, rows = logits.device, len(logits)
    pad = rules[0].pad if rules else 0
    # One more row than there are, for copies that fill up a batch: what they write is of no use.
    tokens = torch.full((rows + 1, max_new_tokens), pad, device=device)
    lengths = torch.zeros(rows + 1, dtype=torch.long, device=device)
    totals = torch.zeros(rows + 1, dtype=torch.float64, device=device)

    place = torch.arange(rows, device=device)  # of the batch's rows among all
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    twins, firsts = place, totals[:rows]
    remaining = list(range(batch.questions))
    every = _STEPS.get(device.type, _MOST_STEPS)
    for step in range(max_new_tokens):
        chosen, ends = choose([rules[question] for question in remaining], tokens[place, :step], logits)
        nats = -functional.cross_entropy(logits, chosen, reduction="none").double()
        totals.index_add_(0, place, nats * ~done)
        lengths.index_add_(0, place, (~done).long())
        tokens[place, step] = torch.where(done, pad, chosen)
        done = done | ends
        if step + 1 == max_new_tokens:
            break
        if step == 0:
            twins, firsts = _twins(states, chosen).to(device), totals[:rows].clone()
            done = done | (twins != place)
        if step % every == 0:
            alive = ~done.cpu()
            if not alive.any():
                break
            if (smaller := _smaller(alive.view(batch.questions, batch.slots))) is not None:
                questions, index, copies = smaller
                batch.keep(questions, index.to(device))
                flat = index.flatten().to(device)
                is_copy = copies.flatten().to(device)
                place, done = place[flat].masked_fill(is_copy, rows), done[flat] | is_copy
                chosen = chosen[flat]
                remaining = [remaining[question] for question in questions]
        logits = batch.read(chosen[:, None])[:, -1]
    # What a twin wrote after the first token, which is the same for both.
    tokens, lengths, rest = tokens[twins], lengths[twins], (totals[:rows] - firsts)[twins]
    return Decoded(tokens, lengths, firsts + rest)


def _twins(states: Sequence[int], chosen: Tensor) -> Tensor:
    """For each row the first one (R,) with the same state and token."""
    seen: dict[tuple[int, int], int] = {}
    pairs = zip(states, chosen.tolist(), strict=True)
    return torch.tensor([seen.setdefault(pair, row) for row, pair in enumerate(pairs)])


def _smaller(alive: Tensor) -> tuple[list[int], Tensor, Tensor] | None:
    """A smaller batch in which all rows `alive` (Q, C) go on; None where it would hardly be smaller.

    Gives the questions, their rows (Q', C') as numbers in the batch, and which of these are copies of others
    only, since every question has the same number of rows.
    """
    counts = alive.sum(-1)
    questions = counts.nonzero()[:, 0]
    slots = int(counts.max())
    if len(questions) * slots > _SHARE_WITH_PREFIX * alive.numel():
        questions = torch.arange(len(alive))  # not worth to copy prefixes
    if len(questions) * slots > _SHARE * alive.numel():
        return None
    order = alive[questions].long().argsort(dim=-1, descending=True, stable=True)[:, :slots]
    copies = torch.arange(slots) >= counts[questions, None]
    order = torch.where(copies, order[:, :1], order)
    return questions.tolist(), order + questions[:, None] * alive.shape[1], copies
