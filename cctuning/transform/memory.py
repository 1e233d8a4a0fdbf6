"""Main memory that a fit takes beside the model."""

from __future__ import annotations

from typing import NamedTuple


class FitMemory(NamedTuple):
    """Bytes, by what takes them."""

    sums: int  # over pairs, and the solutions of one matrix
    outputs: int  # of the pairs that are kept
    matrices: int

    @classmethod
    def of(
        cls,
        d: int,
        layers: int,
        *,
        pairs: int,
        held_out: int,
        folds: int,
        mean: bool,
        each: bool,
        rank: int | None,
    ) -> FitMemory:
        """Those of a fit, as `fit_transform` takes its settings, on `layers` of hidden size `d`."""
        # Per fold one matrix and a half, and three to solve with (less means five), in float64.
        sums = (1.5 * (folds + 1) + (5 if mean else 3)) * d * d * 8
        kept = held_out + (pairs if each else 0)
        numbers = d * d if rank is None else 2 * d * rank
        # Beside one another for a moment: by layer, and all in one tensor.
        return cls(int(sums), 2 * kept * layers * d * 4, 2 * layers * numbers * 8 if each else 0)
