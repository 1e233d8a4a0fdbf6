"""Samples of the papers from benchmarks: drawn by Python's generator, in their old order."""

import random
from collections.abc import Sequence

SEED = 666  # of both papers


def sample_positions(population: Sequence[int], size: int | None, *, seed: int = SEED) -> list[int]:
    """`size` of `population`, as `random.seed(seed); sorted(random.sample(population, size))` draws them.

    All of them where there are no more, or for None.
    """
    if size is None or size >= len(population):
        return list(population)
    return sorted(random.Random(seed).sample(population, size))
