"""The fit of one matrix: sums over pairs, its error on others on the way, and its solution.

Letters: L decoder layers that the matrix is for, d hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cctuning.transform.learning_curve import CurvePoint, curve_point
from cctuning.transform.least_squares import LeastSquares, RidgeChoice, Solution
from cctuning.transform.pairs import PairBatch


@dataclass(frozen=True)
class MatrixFit:
    """One matrix, and what is known about it by itself."""

    pairs: int
    rows: int  # pairs times L
    solution: Solution
    ridge: float
    relative_ridge: float  # over the mean eigenvalue of AᵀA
    choice: RidgeChoice | None  # of a ridge that was not given
    train_error: float  # ‖A W - B‖² over the pairs fitted
    means: Tensor  # of their F_en, (L, d), float64
    curve: list[CurvePoint]
    target: float  # ‖B‖² of the held-out pairs, which the errors of the curve are of

    @classmethod
    def make(
        cls,
        parts: Iterable[Iterable[PairBatch]],
        held_out: Sequence[PairBatch],
        *,
        numbers: Tensor,
        ridge: float | None,
        rank: int | None,
        mean: bool,
        folds: int,
        progress: Callable[[], None],
    ) -> MatrixFit:
        """Fits on all `parts`, one after the other, with a point of the learning curve behind each.

        `numbers` of the pairs decide on their folds; the settings are those of `fit_transform`. `progress` is
        called with each point.
        """
        layers, d = held_out[0].F.shape[1:]
        measured, fit = LeastSquares(d, folds=1, mean=mean), LeastSquares(d, folds=folds, mean=mean)
        for batch in held_out:
            measured.update(batch.F, batch.F_en)
        means = torch.zeros(layers, d, dtype=torch.float64)
        curve: list[CurvePoint] = []
        for part in parts:
            if fit.pairs:  # the sums only grow, so each point is one more solution on the way
                curve.append(curve_point(fit, measured, ridge, rank))
                progress()
            for batch in part:
                fit.update(batch.F, batch.F_en, numbers[batch.indices])
                means += batch.F_en.double().sum(0).cpu()
        choice = fit.choose_ridge() if ridge is None else None
        penalty = choice.ridge if choice is not None else float(ridge or 0.0)
        solution = fit.solution(penalty, rank=rank)
        curve.append(curve_point(fit, measured, penalty, rank))
        progress()
        return cls(
            pairs=fit.pairs,
            rows=fit.rows,
            solution=solution,
            ridge=penalty,
            relative_ridge=penalty / (fit.mean_eigenvalue or 1.0),
            choice=choice,
            train_error=fit.squared_error(solution.weights),
            means=means / fit.pairs,
            curve=curve,
            target=measured.target,
        )
