"""Work in pieces, shared by several processes, with results that do not depend on how many there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


class Share(NamedTuple):
    """Which of how many processes this is. The first, number 0, gets all results."""

    process: int = 0
    processes: int = 1


ALONE = Share()


def in_turns(
    pieces: Sequence[T], compute: Callable[[T], Sequence[Tensor]], share: Share
) -> Iterator[tuple[T, list[Tensor]]]:
    """Yields all pieces in order with what `compute` makes of them, in the first process.

    In each round every process computes one piece, and the first one gets them; nothing is pickled. Every
    process has to go through the iterator, which yields nothing in the others. `compute` returns as many
    tensors for one piece as for another, of any sizes and the same dimensions, on the process's own device.
    """
    if share.processes == 1:
        for piece in pieces:
            yield piece, list(compute(piece))
        return
    for start in range(0, len(pieces), share.processes):
        # In the last round some have no piece of their own: they take the last, which nobody waits for.
        own = compute(pieces[min(start + share.process, len(pieces) - 1)])
        results = [_gather(tensor, share.processes) for tensor in own]
        if share.process == 0:
            for place, piece in enumerate(pieces[start : start + share.processes]):
                yield piece, [tensors[place] for tensors in results]


def from_the_first(value: Any, share: Share, device: torch.device | str = "cpu") -> Any:
    """The first process's `value`, anything that JSON can hold, in all of them. `device`: this process's."""
    if share.processes == 1:
        return value
    text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(device)
    size = torch.tensor(len(text), device=device)
    distributed.broadcast(size, src=0)
    if share.process:
        text = torch.empty(int(size), dtype=torch.uint8, device=device)
    distributed.broadcast(text, src=0)
    return json.loads(bytes(text.tolist()))


def _gather(tensor: Tensor, processes: int) -> list[Tensor]:
    """The tensor of every process, in their order, to the last bit."""
    sizes = _all(torch.tensor(tensor.shape, device=tensor.device), processes)
    # Collectives want equal sizes: the tensors are padded with zeros, which are cut off again.
    padded = tensor.new_zeros(torch.stack(sizes).amax(0).tolist())
    padded[tuple(slice(size) for size in tensor.shape)] = tensor
    return [
        part[tuple(slice(size) for size in own.tolist())]
        for part, own in zip(_all(padded, processes), sizes, strict=True)
    ]


def _all(tensor: Tensor, processes: int) -> list[Tensor]:
    parts = [torch.empty_like(tensor) for _ in range(processes)]
    distributed.all_gather(parts, tensor)
    return parts
