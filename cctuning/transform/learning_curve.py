"""Held-out error of the fit against the number of pairs it is made from."""

import math
import warnings
from typing import Any

from cctuning.transform.least_squares import LeastSquares

_FEWEST_PAIRS = 8  # of the first point, or up to twice as many


def curve_sizes(pairs: int) -> list[int]:
    """Numbers of pairs to measure at, ascending: all, half of them, a quarter, ..."""
    sizes = [pairs]
    while sizes[0] // 2 >= _FEWEST_PAIRS:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def curve_point(
    fit: LeastSquares, held_out: LeastSquares, ridge: float | None, rank: int | None = None
) -> dict[str, Any]:
    """Errors on `held_out` of the fit on the pairs that `fit` has seen so far.

    With `ridge`, or for None with the one that cross-validation chooses on them, and `rank`: `ridge`, `mse`,
    `relative_error`. Without any: `plain_mse`, `plain_relative_error`. Where a ridge is to be chosen and
    there are too few pairs for the folds, the first three are None.
    """
    if ridge is None and fit.can_choose_ridge:
        ridge = fit.choose_ridge().ridge
    point: dict[str, Any] = {"pairs": fit.pairs, "rows": fit.rows, "ridge": ridge}
    point |= _errors(fit, held_out, ridge, rank, prefix="")
    return point | _errors(fit, held_out, 0.0, None, prefix="plain_")


def _errors(
    fit: LeastSquares, held_out: LeastSquares, ridge: float | None, rank: int | None, *, prefix: str
) -> dict[str, float | None]:
    mse = relative = None
    if ridge is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # few rows are the point of the first points
            error = held_out.squared_error(fit.solve(ridge, rank=rank))
        mse = error / (held_out.rows * held_out.d)
        relative = math.sqrt(error / held_out.target) if held_out.target else None
    return {f"{prefix}mse": mse, f"{prefix}relative_error": relative}
