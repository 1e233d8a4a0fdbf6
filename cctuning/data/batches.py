"""Batches of rows of like length, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")


def plan_batches(
    lengths: Sequence[int],
    *,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    ties: Sequence[Any] | None = None,
) -> list[list[int]]:
    """Places in `lengths`, in batches of like length, the longest first: what does not fit fails at once.

    A batch holds at most `batch_size` rows and, padded, `batch_tokens` tokens, but at least one row. Of equal
    lengths those with equal `ties`, values that can be ordered, are neighbours.
    """
    keys = lengths if ties is None else list(zip(lengths, ties, strict=True))
    batches: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=keys.__getitem__, reverse=True):
        rows = len(batches[-1]) + 1 if batches else 0
        fits = rows and (batch_size is None or rows <= batch_size)
        if fits and (batch_tokens is None or rows * lengths[batches[-1][0]] <= batch_tokens):
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


def map_in_batches(
    run: Callable[[list[T]], Iterable[R]], items: Sequence[T], lengths: Sequence[int], *, batch_size: int
) -> list[R]:
    """The results of `run`, in the items' order; it is called with the batches of `plan_batches`."""
    results: dict[int, R] = {}
    for places in plan_batches(lengths, batch_size=batch_size):
        results |= zip(places, run([items[place] for place in places]), strict=True)
    return [results[place] for place in range(len(items))]


def pad(
    sequences: Sequence[Sequence[int]], value: int | None = None, *, left: bool = False, multiple: int = 1
) -> tuple[Tensor, Tensor]:
    """Sequences as one (n, length) tensor padded on the right or left, and its mask (1: a token).

    Without a `value` the padding is each sequence's own first token. Nothing attends to it, but a repetition
    penalty looks at all tokens of a row, and must not find one there that the prompt does not have: say the
    end token.
    """
    import torch  # only here: commands plan batches before they need it

    length = -(-max(map(len, sequences)) // multiple) * multiple
    rows, mask = [], []
    for sequence in sequences:
        gap = length - len(sequence)
        filling, tokens = [sequence[0] if value is None else value] * gap, [1] * len(sequence)
        rows.append([*filling, *sequence] if left else [*sequence, *filling])
        mask.append([0] * gap + tokens if left else tokens + [0] * gap)
    return torch.tensor(rows), torch.tensor(mask)
