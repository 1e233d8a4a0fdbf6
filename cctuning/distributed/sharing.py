"""Work in pieces on several processes, with results that do not depend on how many there are."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


class Shard(NamedTuple):
    """Rank and number of processes. The one of rank 0 gets all results."""

    rank: int = 0
    world_size: int = 1


ALONE = Shard()


def in_turns(
    pieces: Sequence[T], compute: Callable[[T], Sequence[Tensor]], shard: Shard
) -> Iterator[tuple[T, list[Tensor]]]:
    """Yields all pieces in order with what `compute` makes of them, in the first process.

    In each round every process computes one piece, and the first one gets them; nothing is pickled. Every
    process has to go through the iterator, which yields nothing in the others. `compute` returns as many
    tensors for one piece as for another, of any sizes and the same dimensions, on the process's own device.
    """
    if shard.world_size == 1:
        for piece in pieces:
            yield piece, list(compute(piece))
        return
    for start in range(0, len(pieces), shard.world_size):
        # In the last round some have no piece of their own: they take the last, whose result is dropped.
        outputs = compute(pieces[min(start + shard.rank, len(pieces) - 1)])
        results = [_gather(tensor, shard.world_size) for tensor in outputs]
        if shard.rank == 0:
            for place, piece in enumerate(pieces[start : start + shard.world_size]):
                yield piece, [tensors[place] for tensors in results]


def from_the_first(value: Any, shard: Shard, device: torch.device | str = "cpu") -> Any:
    """The first process's `value`, anything that JSON can hold, in all of them. `device`: this process's."""
    if shard.world_size == 1:
        return value
    text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(device)
    size = torch.tensor(len(text), device=device)
    distributed.broadcast(size, src=0)
    if shard.rank:
        text = torch.empty(int(size), dtype=torch.uint8, device=device)
    distributed.broadcast(text, src=0)
    return json.loads(bytes(text.tolist()))


def _gather(tensor: Tensor, world_size: int) -> list[Tensor]:
    """The tensor of every process, in their order, to the last bit."""
    sizes = _all(torch.tensor(tensor.shape, device=tensor.device), world_size)
    # Collectives want equal sizes: the tensors are padded with zeros, which are cut off again.
    padded = tensor.new_zeros(torch.stack(sizes).amax(0).tolist())
    padded[tuple(slice(size) for size in tensor.shape)] = tensor
    return [
        part[tuple(slice(size) for size in shape.tolist())]
        for part, shape in zip(_all(padded, world_size), sizes, strict=True)
    ]


def _all(tensor: Tensor, world_size: int) -> list[Tensor]:
    parts = [torch.empty_like(tensor) for _ in range(world_size)]
    distributed.all_gather(parts, tensor)
    return parts
