"""The Transform Matrix: a streaming ridge regression from F to F_en (CC-Tuning, eq. 6 to 8). Tensors only.

Letters: N pairs, L decoder layers, d hidden size, K folds. A pair is one row's F and F_en, (L, d) each.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from cctuning.transform.moments import CrossSum, Matrix, Rows, SymmetricSum, dense, product
from cctuning.transform.normal_equations import NormalEquations
from cctuning.transform.ridge import climb, coarse_to_fine, held_out_errors, reduced_rank, ridge_weights

# Rows that are added in one go: enough for matrix products at full speed. Fixed, so that the sums are bit for
# bit the same however rows were batched.
_CHUNK_ROWS = 1024

# The penalties to choose from, as multiples of the mean eigenvalue of AᵀA: from practically none to nearly no
# fit at all, two for every factor of ten. Between neighbours the held-out error hardly differs.
RELATIVE_RIDGES = np.logspace(-10, 4, 29)

# Cross-validation scores a fit on this many random directions of F_en, not on all d, which saves most of its
# work and memory. A direction mixes all dimensions with random signs, so the scores are right on average; the
# same directions serve all ridges, and what decides is how ridges compare. For d up to this it scores all d.
DIRECTIONS = 128


@dataclass(frozen=True)
class RidgeChoice:
    """Result of cross-validation."""

    ridge: float  # the penalty with the smallest held-out error
    ridges: tuple[float, ...]  # the penalties that were tried on all folds, ascending
    errors: tuple[float, ...]  # their held-out mean squared error per element, see `DIRECTIONS`


@dataclass(frozen=True)
class Solution:
    """W in float64; of a given rank r as two factors, (d, r) and (r, d), with `mean` (r + 1, d)."""

    factors: tuple[Tensor, ...]

    @property
    def weights(self) -> Tensor:
        """W (d, d); with `mean` (d + 1, d)."""
        if len(self.factors) == 1:
            return self.factors[0]
        down, up = (factor.numpy() for factor in self.factors)
        rank = down.shape[1]
        whole = product(down, up[:rank])
        return torch.from_numpy(np.vstack([whole, up[rank:]]) if len(up) > rank else whole)


class LeastSquares:
    """W (d, d) with F W ≈ F_en: argmin ‖A W - B‖² + ridge ‖W‖², where A and B are all rows of F and F_en.

    With `mean`, F_en ≈ mean(B) + (F - mean(A)) W: each side less its mean over all rows, which no ridge
    shrinks. W then comes with the row mean(B) - mean(A) W behind it, (d + 1, d): see `affine`.

    `ridge` is the textbook penalty, in units of AᵀA, not scaled by the number of rows or by their size. The
    ridges that cross-validation compares are scaled: they are multiples of trace(AᵀA) / d, so that its choice
    does not depend on the units of F.

    Only sums over rows are kept, about 4 d² numbers of 8 bytes for large d, whatever N is. All L rows of a
    pair are in one fold: pair number modulo K. The sums, and so W, do not depend on how pairs were batched.
    """

    def __init__(self, d: int, folds: int = 5, *, mean: bool = False) -> None:
        if d < 1 or folds < 1:
            raise ValueError(f"d={d} and folds={folds} must be at least 1")
        self.d, self.mean = d, mean
        self.signs = _random_signs(d) if d > DIRECTIONS else None  # (d, DIRECTIONS)
        columns = d + mean  # of A: a 1 in the last one makes the sums hold the means, too
        self.folds = [_Fold(columns, d if self.signs is None else DIRECTIONS) for _ in range(folds)]
        self.total = CrossSum(columns, d)
        self.pairs = 0
        self.layers: int | None = None  # L, known from the first update on
        self._buffer: _Buffer | None = None

    @property
    def rows(self) -> int:
        """Rows of A: pairs times layers."""
        return self.pairs * (self.layers or 0)

    def update(self, F: Tensor, F_en: Tensor, numbers: Sequence[int] | Tensor | None = None) -> None:
        """Adds pairs: F and F_en, each (pairs, L, d), of any floating dtype and on any device.

        `numbers` (pairs,) are the pairs' numbers, which decide on the folds: needed where pairs arrive in an
        order that is not always the same, or where some belong together (pairs that share an English prompt
        get one number). By default pairs are counted as they arrive.

        Raises `ValueError` for a wrong shape, and for NaN and infinity, naming pair and layer; `TypeError`
        for a dtype that is not floating.
        """
        F, F_en = torch.as_tensor(F), torch.as_tensor(F_en)
        self._check_shapes(F, F_en)
        # float32 holds what is in a lesser dtype exactly; means are taken away in float64. From here on no
        # torch: its threads would be in the way of those of scipy's BLAS.
        double = self.mean or torch.float64 in (F.dtype, F_en.dtype)
        dtype = torch.float64 if double else torch.float32
        inputs, targets = (tensor.detach().to("cpu", dtype).numpy() for tensor in (F, F_en))
        self._check_finite(inputs, "F")
        self._check_finite(targets, "F_en")
        folds = self._folds_of(len(inputs), numbers)
        self.layers = inputs.shape[1]
        self.pairs += len(inputs)
        if self._buffer is None or self._buffer.F.dtype != inputs.dtype:
            self._flush()
            size = max(1, _CHUNK_ROWS // inputs.shape[1])
            self._buffer = _Buffer((size, *inputs.shape[1:]), inputs.dtype)
        start = 0
        while start < len(inputs):
            start += self._buffer.take(inputs[start:], targets[start:], folds[start:])
            if self._buffer.is_full:
                self._flush()

    def merge(self, other: LeastSquares) -> None:
        """Adds the pairs that another `LeastSquares` has seen, with the folds that they were in there.

        Raises `ValueError` where d, the number of folds, `mean` or L differ.
        """
        if (self.d, len(self.folds), self.mean) != (other.d, len(other.folds), other.mean):
            raise ValueError(
                f"cannot merge a fit of d={other.d}, folds={len(other.folds)}, mean={other.mean} "
                f"into one of d={self.d}, folds={len(self.folds)}, mean={self.mean}"
            )
        if self.layers is not None and other.layers is not None and self.layers != other.layers:
            raise ValueError(f"cannot merge pairs of {other.layers} layers into pairs of {self.layers}")
        self._flush()
        other._flush()
        self.total.add(other.total)
        for fold, others in zip(self.folds, other.folds, strict=True):
            fold.add(others)
        self.layers = self.layers or other.layers
        self.pairs += other.pairs

    def solve(self, ridge: float | None = None, *, rank: int | None = None) -> Tensor:
        """W (d, d), with `mean` (d + 1, d), float64, with F W ≈ F_en; more pairs may be added afterwards.

        `ridge`: None, chosen by cross-validation over the pairs; a number, that penalty; 0.0, plain least
        squares, of minimum norm where AᵀA is singular. Directions of A below about 1e-8 √d of the largest
        count as absent then, because squaring loses them. `rank`: of W at most, None for d; the ridge is
        chosen without it.

        Warns where there are fewer than 2 d rows. Raises `ValueError` without pairs, for a ridge that is
        negative or not finite, a rank that is not from 1 to d, and where a fold is empty although the ridge
        is to be chosen.
        """
        return self.solution(ridge, rank=rank).weights

    def solution(self, ridge: float | None = None, *, rank: int | None = None) -> Solution:
        """What `solve` gives, in factors where it has a rank."""
        if ridge is not None and not (np.isfinite(ridge) and ridge >= 0):
            raise ValueError(
                f"ridge={ridge!r} must be None (chosen by cross-validation), 0.0 or a positive number"
            )
        if rank is not None and not 1 <= rank <= self.d:
            raise ValueError(f"rank={rank!r} is not from 1 to d={self.d}")
        self._require_pairs()
        if self.rows < 2 * self.d:
            warnings.warn(
                f"{self.rows} rows ({self.pairs} pairs of {self.layers} layers) are few for a matrix of "
                f"d={self.d}: use at least {-(-2 * self.d // (self.layers or 1))} pairs for 2 d rows",
                stacklevel=3,
            )
        if ridge is None:
            ridge = self.choose_ridge().ridge
        equations = self._equations
        weights = ridge_weights(equations, float(ridge))
        if rank is None:
            return Solution((torch.from_numpy(equations.with_means(weights)),))
        down, up = reduced_rank(weights, equations.cross, rank)
        bias = equations.with_means(product(down, up))[self.d :]
        return Solution((torch.from_numpy(down), torch.from_numpy(np.vstack([up, bias]))))

    def choose_ridge(self) -> RidgeChoice:
        """Cross-validation over pairs: each fold is predicted by the fit on the other ones.

        Searches `RELATIVE_RIDGES` times trace(AᵀA) / d: first from coarse to fine on one fold, and from there
        on all folds until no neighbour is better. Of ridges whose errors differ by no more than rounding, the
        smallest is taken. Raises `ValueError` where a fold has no pairs.
        """
        self._require_pairs()
        if len(self.folds) < 2 or not self.can_choose_ridge:
            empty = sum(fold.rows == 0 for fold in self.folds)
            raise ValueError(
                f"{self.pairs} pairs leave {empty} of {len(self.folds)} folds empty, and cross-validation "
                "needs at least 2 folds and a pair in each: add pairs, use fewer folds, or give a ridge"
            )
        ridges = RELATIVE_RIDGES * (self.mean_eigenvalue or 1.0)
        rounding = 1e-12 * sum(fold.scored.target for fold in self.folds)

        on_each = [_FoldErrors(self.folds, number, ridges, self.mean) for number in range(len(self.folds))]

        def on_all(places: list[int]) -> list[float]:
            return [sum(errors) for errors in zip(*(on_fold(places) for on_fold in on_each), strict=True)]

        start = coarse_to_fine(on_each[0], len(ridges), rounding)
        best, errors = climb(on_all, start, len(ridges), rounding)
        tried = sorted(errors)
        elements = self.rows * self.d
        return RidgeChoice(
            float(ridges[best]),
            tuple(ridges[tried].tolist()),
            tuple(errors[place] / elements for place in tried),
        )

    @property
    def can_choose_ridge(self) -> bool:
        """Whether every fold has pairs."""
        self._flush()
        return all(fold.rows for fold in self.folds)

    @property
    def mean_eigenvalue(self) -> float:
        """trace(AᵀA) / d, with `mean` of A less its mean: what a ridge has to be compared with."""
        if self.mean:
            return float(np.trace(self._equations.gram())) / self.d
        self._flush()
        return sum(gram.trace() for gram in self._grams) / self.d

    @property
    def target(self) -> float:
        """‖B‖² over all pairs seen."""
        self._flush()
        return self.total.target

    def squared_error(self, weights: Tensor) -> float:
        """‖A W - B‖² over all pairs seen, for any W (d, d); with `mean` (d + 1, d), and A with a 1 behind.

        Exact to about 1e-7 ‖B‖² for rows in float32, 1e-13 ‖B‖² in float64.
        """
        self._flush()
        W = np.asarray(weights, dtype=np.float64)
        quadratic = float(np.vdot(W, product(dense(self._grams, len(W)), W)))
        return max(quadratic - 2 * float(np.vdot(W, self.total.cross)) + self.target, 0.0)

    @property
    def _equations(self) -> NormalEquations:
        self._flush()
        return NormalEquations(self._grams, self.total.cross, affine=self.mean)

    @property
    def _grams(self) -> list[SymmetricSum]:
        return [fold.gram for fold in self.folds]

    def _check_shapes(self, F: Tensor, F_en: Tensor) -> None:
        for name, tensor in (("F", F), ("F_en", F_en)):
            if tensor.dim() != 3 or tensor.shape[1] == 0 or tensor.shape[2] != self.d:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}, expected (pairs, layers, d={self.d})"
                )
            if not tensor.is_floating_point():
                raise TypeError(f"{name} has dtype {tensor.dtype}, expected a floating one")
        if F.shape != F_en.shape:
            raise ValueError(f"F is {tuple(F.shape)} and F_en {tuple(F_en.shape)}: they must be of one shape")
        if self.layers is not None and F.shape[1] != self.layers:
            raise ValueError(f"F has {F.shape[1]} layers, the pairs before it had {self.layers}")

    def _check_finite(self, outputs: Rows, name: str) -> None:
        finite = np.isfinite(outputs)
        if not finite.all():
            pair, layer, _ = np.argwhere(~finite)[0]
            raise ValueError(f"{name} is not finite in pair {self.pairs + pair}, layer {layer} (both from 0)")

    def _require_pairs(self) -> None:
        if not self.rows:
            raise ValueError("no pairs yet: call update(F, F_en) first")

    def _folds_of(self, count: int, numbers: Sequence[int] | Tensor | None) -> NDArray[np.int64]:
        if numbers is None:
            return np.arange(self.pairs, self.pairs + count) % len(self.folds)
        folds = np.asarray(numbers, dtype=np.int64) % len(self.folds)
        if folds.shape != (count,):
            raise ValueError(
                f"numbers has shape {folds.shape}, expected one number for each of {count} pairs"
            )
        return folds

    def _flush(self) -> None:
        """Adds what waits in the buffer."""
        if self._buffer is None or not self._buffer.pairs:
            return
        inputs, targets, folds = self._buffer.empty()
        if self.mean:
            inputs = np.pad(inputs, ((0, 0), (0, 1)), constant_values=1)
        self.total.add_rows(inputs, targets)
        scored = targets if self.signs is None else product(targets, self.signs)
        for number, fold in enumerate(self.folds):
            of_fold = folds == number
            if of_fold.any():
                fold.add_rows(inputs[of_fold], scored[of_fold])


class _Fold:
    """Sums over the pairs of one fold."""

    def __init__(self, d: int, directions: int) -> None:
        self.gram = SymmetricSum(d)  # AᵀA
        self.scored = CrossSum(d, directions)  # AᵀB and ‖B‖² for the directions that are scored
        self.rows = 0

    def add_rows(self, inputs: Rows, scored: Rows) -> None:
        self.gram.add_rows(inputs)
        self.scored.add_rows(inputs, scored)
        self.rows += len(inputs)

    def add(self, other: _Fold) -> None:
        self.gram.add(other.gram)
        self.scored.add(other.scored)
        self.rows += other.rows


class _FoldErrors:
    """‖A W - B‖² on one fold, W being fitted on the others, for ridges that are named by their place."""

    def __init__(self, folds: Sequence[_Fold], number: int, ridges: Matrix, mean: bool) -> None:
        self.mean = mean
        self.held_out = folds[number]
        self.others = [fold for fold in folds if fold is not self.held_out]
        self.ridges = ridges
        self.known: dict[int, float] = {}

    def __call__(self, places: list[int]) -> list[float]:
        new = [place for place in places if place not in self.known]
        if new:
            cross: Matrix = np.sum([fold.scored.cross for fold in self.others], axis=0)
            training = NormalEquations([fold.gram for fold in self.others], cross, affine=self.mean)
            scored = self.held_out.scored
            changes = held_out_errors(training, self.held_out.gram, scored.cross, self.ridges[new].tolist())
            self.known |= {place: change + scored.target for place, change in zip(new, changes, strict=True)}
        return [self.known[place] for place in places]


class _Buffer:
    """Pairs that wait to be added, less than a chunk."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.F, self.F_en = np.empty(shape, dtype), np.empty(shape, dtype)  # (pairs, L, d)
        self.folds = np.empty(shape[0], dtype=np.int64)
        self.pairs = 0

    @property
    def is_full(self) -> bool:
        return self.pairs == len(self.folds)

    def take(self, F: Rows, F_en: Rows, folds: NDArray[np.int64]) -> int:
        """Copies as many pairs as there is room for, and returns how many."""
        count = min(len(F), len(self.folds) - self.pairs)
        place = slice(self.pairs, self.pairs + count)
        self.F[place], self.F_en[place], self.folds[place] = F[:count], F_en[:count], folds[:count]
        self.pairs += count
        return count

    def empty(self) -> tuple[Rows, Rows, NDArray[np.int64]]:
        """The content so far: rows of F and F_en, (pairs * L, d) each, and their folds."""
        count, self.pairs = self.pairs, 0
        layers, d = self.F.shape[1:]
        inputs, targets = (part[:count].reshape(-1, d) for part in (self.F, self.F_en))
        return inputs, targets, np.repeat(self.folds[:count], layers)


def _random_signs(d: int) -> NDArray[np.float32]:
    """(d, DIRECTIONS) of ±1 / √DIRECTIONS: ‖B S‖² is ‖B‖² on average. The same in every process."""
    signs = np.random.default_rng(0).integers(0, 2, (d, DIRECTIONS), dtype=np.int8)
    return (signs.astype(np.float32) * 2 - 1) / np.float32(DIRECTIONS**0.5)
