"""F and F_en of a model over parallel prompts: which pairs, and their outputs batch by batch.

A pair is the two prompts of one row, so there is nothing to match up.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from cctuning.data.batches import plan_batches
from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import Example
from cctuning.distributed.sharing import ALONE, Shard, in_turns

T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """A prompt and its English parallel, as tokens that end at the response start."""

    id: str
    language: str
    prompt_ids: tuple[int, ...]
    english_ids: tuple[int, ...]


class PairSample(NamedTuple):
    """Pairs to fit on, any first part of which is a sample by itself, and others to measure on."""

    fit: list[Pair]
    held_out: list[Pair]  # their English prompts are none of those in `fit`


class PairBatch(NamedTuple):
    """The outputs of some pairs, in the model's dtype."""

    indices: list[int]  # which pairs, by their place in the sequence given
    F: Tensor  # (b, L, d)
    F_en: Tensor  # (b, L, d)
    embeddings: Tensor  # (b, d), e of eq. 3

    def of(self, layer: int) -> PairBatch:
        """Those of one layer, L = 1."""
        kept = slice(layer, layer + 1)
        return self._replace(F=self.F[:, kept], F_en=self.F_en[:, kept])

    def cpu(self) -> PairBatch:
        """The same in main memory."""
        return PairBatch(self.indices, self.F.cpu(), self.F_en.cpu(), self.embeddings.cpu())


def pairs_of(examples: Iterable[Example]) -> list[Pair]:
    """The pairs of training examples.

    Rows whose two prompts are equal, those in English, are left out: F is F_en there, so they say nothing
    about the way from one language to another, and draw W_T towards the identity.
    """
    pairs = [
        Pair(
            example.row.id,
            example.row.language,
            tuple(example.input_ids[: example.prompt_length]),
            tuple(example.english_input_ids),
        )
        for example in examples
    ]
    return [pair for pair in pairs if pair.prompt_ids != pair.english_ids]


def sample_pairs(pairs: Sequence[Pair], count: int, *, held_out: float, seed: int) -> PairSample:
    """Draws `count` pairs to fit on, and `held_out` times as many others to measure on.

    Languages take turns, so each gets an equal share as far as its rows reach. Pairs that share their English
    prompt share F_en: all of them go to one side, so there may be a few more held out than asked for. Where
    there are not enough pairs, both sides get fewer; the caller can tell from their number. The result does
    not depend on the order of `pairs`. Raises `ValueError` where a side would be empty.
    """
    rng = random.Random(seed)
    groups: dict[tuple[int, ...], list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: (pair.language, pair.id, pair.prompt_ids)):
        groups.setdefault(pair.english_ids, []).append(pair)
    wanted = min(round(count * held_out), round(len(pairs) * held_out / (1 + held_out)))
    if len(groups) < 2:
        raise ValueError(
            f"{len(pairs)} pairs with {len(groups)} different English prompts cannot be split into some to "
            "fit on and others to measure on: give more rows that are not in English"
        )
    shuffled = rng.sample(list(groups.values()), len(groups))
    turns = _in_turns(shuffled, [group[0].language for group in shuffled])
    measured: list[Pair] = []
    while len(turns) > 1 and len(measured) < max(wanted, 1):
        measured += turns.pop(0)
    rest = [pair for group in turns for pair in group]
    rest = rng.sample(rest, len(rest))
    return PairSample(_in_turns(rest, [pair.language for pair in rest])[:count], measured)


def draw_pairs(pairs: Sequence[Pair], count: int, *, seed: int) -> list[Pair]:
    """`count` of the pairs, or all where there are fewer; languages take turns, as in `sample_pairs`."""
    ordered = sorted(pairs, key=lambda pair: (pair.language, pair.id, pair.prompt_ids))
    shuffled = random.Random(seed).sample(ordered, len(ordered))
    return _in_turns(shuffled, [pair.language for pair in shuffled])[:count]


def _in_turns(items: Sequence[T], kinds: Sequence[str]) -> list[T]:
    """The items, otherwise in order, so that kinds take turns: each kind's first, each kind's second, ..."""
    seen: dict[str, int] = {}
    turns = []
    for kind in kinds:
        turns.append(seen.get(kind, 0))
        seen[kind] = turns[-1] + 1
    return [items[index] for index in sorted(range(len(items)), key=turns.__getitem__)]


def english_numbers(pairs: Sequence[Pair]) -> list[int]:
    """A number for each pair, the same where the English prompt is: such pairs belong in one fold."""
    numbers: dict[tuple[int, ...], int] = {}
    return [numbers.setdefault(pair.english_ids, len(numbers)) for pair in pairs]


def stream_pairs(
    model: Any,
    pairs: Sequence[Pair],
    *,
    pad_token_id: int,
    batch_size: int = 8,
    layer: int | None = None,
    shard: Shard = ALONE,
) -> Iterator[PairBatch]:
    """Yields the outputs of a `CCTuningModel` at the response starts of all pairs, without gradient.

    Pairs of like length share a batch, so they come in another order than given: `indices` tells which.
    An English prompt that occurs twice in a batch is run once. With `layer` the outputs are of that one
    alone, L = 1. Of several processes each runs its share of the batches, and the first one gets all of them
    (see `sharing.in_turns`), the same as one process would. Raises `ValueError` for outputs that are not
    finite, naming the pair and the layer.
    """
    collator = ParallelCollator(pad_token_id)
    lengths = [len(pair.prompt_ids) for pair in pairs]
    ties = [(len(pair.english_ids), pair.english_ids) for pair in pairs]
    batches = plan_batches(lengths, batch_size=batch_size, ties=ties)

    def outputs(indices: list[int]) -> Sequence[Tensor]:
        return _outputs(model, [pairs[index] for index in indices], collator)

    for indices, results in in_turns(batches, outputs, shard):
        batch = PairBatch(indices, *results)
        yield batch if layer is None else batch.of(layer)


@torch.no_grad()
def _outputs(model: Any, pairs: Sequence[Pair], collator: ParallelCollator) -> tuple[Tensor, Tensor, Tensor]:
    """F (b, L, d), F_en (b, L, d) and e (b, d) of one batch."""
    device = model.device
    input_ids, mask = (tensor.to(device) for tensor in collator.pad([pair.prompt_ids for pair in pairs]))
    lengths = mask.sum(-1)
    english = collator.collate_english([pair.english_ids for pair in pairs])
    F = model.sublayer_outputs(input_ids, mask, lengths)
    F_en = model.english_outputs(
        [ids.to(device) for ids in english["english_input_ids"]],
        [part.to(device) for part in english["english_attention_mask"]],
        english["english_index"].to(device),
        rows=len(pairs),
    )
    for name, outputs in (("F", F), ("F_en", F_en)):
        _check_finite(outputs, pairs, name)
    embeddings = model.input_embeddings({"input_ids": input_ids, "attention_mask": mask}, lengths - 1)
    return F, F_en, embeddings


def _check_finite(outputs: Tensor, pairs: Sequence[Pair], name: str) -> None:
    finite = outputs.isfinite().all(-1)
    if not finite.all():
        place, layer = (int(number) for number in (~finite).nonzero()[0])
        pair = pairs[place]
        raise ValueError(
            f"{name} is not finite in layer {layer} (from 0) for id {pair.id!r}, language {pair.language!r}: "
            f"the model's weights or its dtype ({outputs.dtype}) do not carry this prompt; try dtype=float32"
        )
