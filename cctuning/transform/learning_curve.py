"""Held-out error of the fit against the number of pairs it is made from."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from cctuning.transform.least_squares import LeastSquares

_FEWEST_PAIRS = 8  # of the first point, or up to twice as many


class CurvePoint(NamedTuple):
    """One fit on the first so many pairs; its errors are ‖A W - B‖² on the held-out ones."""

    pairs: int
    rows: int
    ridge: float | None  # None where it is to be chosen, and there are too few pairs for the folds
    error: float | None
    plain_error: float  # without a ridge, and of full rank


def curve_sizes(pairs: int) -> list[int]:
    """Numbers of pairs to measure at, ascending: all, half of them, a quarter, ..."""
    sizes = [pairs]
    while sizes[0] // 2 >= _FEWEST_PAIRS:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def curve_point(
    fit: LeastSquares, held_out: LeastSquares, ridge: float | None, rank: int | None = None
) -> CurvePoint:
    """Errors on `held_out` of the fit on the pairs that `fit` has seen so far.

    With `ridge`, or for None with the one that cross-validation chooses on them, and `rank`.
    """
    if ridge is None and fit.can_choose_ridge:
        ridge = fit.choose_ridge().ridge
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few rows are the point of the first points
        error = None if ridge is None else held_out.squared_error(fit.solve(ridge, rank=rank))
        plain = held_out.squared_error(fit.solve(0.0))
    return CurvePoint(fit.pairs, fit.rows, ridge, error, plain)


def curve_report(
    curves: Sequence[Sequence[CurvePoint]], *, elements: int, target: float
) -> list[dict[str, Any]]:
    """The points of one fit, or of the fits of all layers together, as plain values.

    Of each `pairs`, `rows` of a matrix, `mse`, `relative_error`, `plain_mse` and `plain_relative_error`, and
    of one fit `ridge`. `elements` and `target` are number and sum of squares of all that is predicted.
    """
    report = []
    for points in zip(*curves, strict=True):
        values: dict[str, Any] = {"pairs": points[0].pairs, "rows": points[0].rows}
        values |= {"ridge": points[0].ridge} if len(points) == 1 else {}
        for prefix in ("", "plain_"):
            errors = [getattr(point, f"{prefix}error") for point in points]
            known = [error for error in errors if error is not None]  # of all layers, or of none
            values[f"{prefix}mse"] = sum(known) / elements if known else None
            values[f"{prefix}relative_error"] = math.sqrt(sum(known) / target) if known and target else None
        report.append(values)
    return report
