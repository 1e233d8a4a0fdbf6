"""In which order rows are trained on: the same for every process, and after every interruption."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


class EpochOrder(Sampler[int]):
    """Shuffles the rows anew in each epoch, as a function of seed and epoch alone.

    The libraries' samplers draw from the global generator, which differs between processes here and after a
    resume in the middle of an epoch, or count the epochs that they have begun, which a resumed one has not.

    Args:
        rows: how many there are.
        seed: of the order.
        epoch: tells which epoch begins, from 0.
        lengths: of the rows, in tokens; where given, rows of like length come together.
        group: how many rows are looked at together then: those of one step.
    """

    def __init__(
        self,
        rows: int,
        *,
        seed: int,
        epoch: Callable[[], int],
        lengths: Sequence[int] | None = None,
        group: int = 1,
    ) -> None:
        self.rows, self.seed, self.epoch = rows, seed, epoch
        self.lengths, self.group = lengths, group

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch())
        if self.lengths is None:
            yield from torch.randperm(self.rows, generator=generator).tolist()
        else:
            yield from get_length_grouped_indices(list(self.lengths), self.group, generator=generator)
