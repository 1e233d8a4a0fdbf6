"""Held-out error of the fit against the number of pairs it is made from."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cctuning.moments import Matrix
from cctuning.transform import RELATIVE_RIDGES, LeastSquares

_FEWEST_PAIRS = 8  # of the first point, or up to twice as many


def curve_sizes(pairs: int) -> list[int]:
    """Numbers of pairs to measure at, ascending: all, half of them, a quarter, ..."""
    sizes = [pairs]
    while sizes[0] // 2 >= _FEWEST_PAIRS:
        sizes.insert(0, sizes[0] // 2)
    return sizes


class CurvePoint(NamedTuple):
    """The fit on some pairs, for many ridges: which of them counts is known when all pairs have been seen."""

    pairs: int
    rows: int
    elements: int  # numbers in F_en of the held-out pairs
    target: float  # ‖F_en‖² over the held-out pairs
    ridges: Matrix
    errors: Matrix  # ‖F W - F_en‖² over the held-out pairs, for each ridge
    plain: float  # the same without a ridge

    def at(self, ridge: float) -> dict[str, float | None]:
        """This point for `ridge`, interpolated between those at hand; `plain_*` are without a ridge."""
        logs = np.log(self.ridges)
        error = self.plain if ridge == 0 else float(np.interp(math.log(ridge), logs, self.errors))
        values: dict[str, float | None] = {"pairs": self.pairs, "rows": self.rows}
        for prefix, value in (("", error), ("plain_", self.plain)):
            values[f"{prefix}mse"] = value / self.elements
            values[f"{prefix}relative_error"] = math.sqrt(value / self.target) if self.target else None
        return values


def curve_point(fit: LeastSquares, held_out: LeastSquares) -> CurvePoint:
    """The point for the pairs that `fit` has seen so far. Costs one eigendecomposition."""
    ridges = RELATIVE_RIDGES * (fit.mean_eigenvalue or 1.0)
    plain, *errors = np.maximum(fit.held_out_errors(held_out, [0.0, *ridges]), 0.0)
    return CurvePoint(
        fit.pairs,
        fit.rows,
        held_out.rows * held_out.d,
        held_out.target,
        ridges,
        np.array(errors),
        float(plain),
    )
