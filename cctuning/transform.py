"""The Transform Matrix: a streaming ridge regression from F to F_en (CC-Tuning, eq. 6 to 8). Tensors only.

Letters: N pairs, L decoder layers, d hidden size, K folds. A pair is one row's F and F_en, (L, d) each.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from cctuning.moments import BLOCK, CrossSum, Matrix, SymmetricSum, dense

# Rows that are added in one go: enough for matrix products at full speed. Fixed, so that the sums are bit for
# bit the same however rows were batched.
_CHUNK_ROWS = 1024

# The penalties that cross-validation compares, as multiples of the mean eigenvalue of AᵀA: from practically
# none to practically no fit at all. A score of the whole grid costs less than one matrix product, so it can
# be fine.
RELATIVE_RIDGES = np.logspace(-10, 4, 57)

# Cross-validation scores a fit on this many random directions of F_en, not on all d, which saves much of its
# work and memory. A direction mixes all dimensions with random signs, so the scores are right on average; the
# same directions serve all ridges, and what decides is how ridges compare. For d up to this it scores all d.
DIRECTIONS = 256


@dataclass(frozen=True)
class RidgeChoice:
    """What cross-validation found."""

    ridge: float  # the penalty with the smallest held-out error
    ridges: tuple[float, ...]  # all penalties that were compared, ascending
    errors: tuple[float, ...]  # their held-out mean squared error per element, see `DIRECTIONS`


class _Buffer:
    """Pairs that wait to be added, less than a chunk."""

    def __init__(self, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
        self.F = torch.empty(shape, dtype=dtype)
        self.F_en = torch.empty(shape, dtype=dtype)
        self.folds = np.empty(shape[0], dtype=np.int64)
        self.pairs = 0

    def take(self, F: Tensor, F_en: Tensor, folds: NDArray[np.int64]) -> int:
        """Copies as many pairs as there is room for, and returns how many."""
        count = min(len(F), len(self.folds) - self.pairs)
        place = slice(self.pairs, self.pairs + count)
        self.F[place], self.F_en[place], self.folds[place] = F[:count], F_en[:count], folds[:count]
        self.pairs += count
        return count

    @property
    def is_full(self) -> bool:
        return self.pairs == len(self.folds)


class _Fold:
    """Sums over the pairs of one fold."""

    def __init__(self, d: int, directions: int) -> None:
        self.gram = SymmetricSum(d)  # AᵀA
        self.scored = CrossSum(d, directions)  # AᵀB and ‖B‖² for the directions that are scored
        self.rows = 0


class LeastSquares:
    """W (d, d) with F W ≈ F_en: argmin ‖A W - B‖² + ridge ‖W‖², where A and B are all rows of F and F_en.

    `ridge` is the textbook penalty, in units of AᵀA, not scaled by the number of rows or by their size. The
    ridges that cross-validation compares are scaled: they are multiples of trace(AᵀA) / d, so that its choice
    does not depend on the units of F.

    Only sums over rows are kept, about 4 d² numbers of 8 bytes for large d, whatever N is. All L rows of a
    pair are in one fold: pair number modulo K. The sums, and so W, do not depend on how pairs were batched.
    """

    def __init__(self, d: int, folds: int = 5) -> None:
        if d < 1 or folds < 1:
            raise ValueError(f"d={d} and folds={folds} must be at least 1")
        self.d = d
        self.signs = _random_signs(d) if d > DIRECTIONS else None  # (d, DIRECTIONS)
        self.folds = [_Fold(d, d if self.signs is None else DIRECTIONS) for _ in range(folds)]
        self.total = CrossSum(d, d)
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
        self._check(F, F_en)
        count = len(F)
        if numbers is None:
            folds = np.arange(self.pairs, self.pairs + count) % len(self.folds)
        else:
            folds = np.asarray(numbers, dtype=np.int64) % len(self.folds)
            if folds.shape != (count,):
                raise ValueError(
                    f"numbers has shape {folds.shape}, expected one number for each of {count} pairs"
                )
        self.layers = F.shape[1]
        self.pairs += count
        # float32 holds what is in a lesser dtype exactly.
        doubles = torch.float64 in (F.dtype, F_en.dtype)
        dtype = torch.float64 if doubles else torch.float32
        if self._buffer is None or self._buffer.F.dtype != dtype:
            self._flush()
            self._buffer = _Buffer((max(1, _CHUNK_ROWS // F.shape[1]), *F.shape[1:]), dtype)
        start = 0
        while start < count:
            start += self._buffer.take(F[start:].detach(), F_en[start:].detach(), folds[start:])
            if self._buffer.is_full:
                self._flush()

    def merge(self, other: LeastSquares) -> None:
        """Adds the pairs that another `LeastSquares` has seen, with the folds that they were in there.

        Raises `ValueError` where d, the number of folds or L differ.
        """
        if (self.d, len(self.folds)) != (other.d, len(other.folds)):
            raise ValueError(
                f"cannot merge a fit of d={other.d}, folds={len(other.folds)} "
                f"into one of d={self.d}, folds={len(self.folds)}"
            )
        if self.layers is not None and other.layers is not None and self.layers != other.layers:
            raise ValueError(f"cannot merge pairs of {other.layers} layers into pairs of {self.layers}")
        self._flush()
        other._flush()
        self.total.add(other.total)
        for fold, others in zip(self.folds, other.folds, strict=True):
            fold.gram.add(others.gram)
            fold.scored.add(others.scored)
            fold.rows += others.rows
        self.layers = self.layers or other.layers
        self.pairs += other.pairs

    def solve(self, ridge: float | None = None) -> Tensor:
        """W (d, d), float64, with F W ≈ F_en; more pairs may be added afterwards.

        `ridge`: None, chosen by cross-validation over the pairs; a number, that penalty; 0.0, plain least
        squares, of minimum norm where AᵀA is singular. Directions of A below about 1e-8 √d of the largest
        count as absent then, because squaring loses them.

        Warns where there are fewer than 2 d rows. Raises `ValueError` without pairs, for a ridge that is
        negative or not finite, and where a fold is empty although the ridge is to be chosen.
        """
        if ridge is not None and not (np.isfinite(ridge) and ridge >= 0):
            raise ValueError(
                f"ridge={ridge!r} must be None (chosen by cross-validation), 0.0 or a positive number"
            )
        self._require_pairs()
        if self.rows < 2 * self.d:
            warnings.warn(
                f"{self.rows} rows ({self.pairs} pairs of {self.layers} layers) are few for a matrix of "
                f"d={self.d}: use at least {-(-2 * self.d // (self.layers or 1))} pairs for 2 d rows",
                stacklevel=2,
            )
        if ridge is None:
            ridge = self.choose_ridge().ridge
        self._flush()
        return torch.from_numpy(_solve(self._grams, self.total.cross, float(ridge)))

    def choose_ridge(self) -> RidgeChoice:
        """Cross-validation over pairs: each fold is predicted by the fit on the other ones.

        The ridges compared are `RELATIVE_RIDGES` times trace(AᵀA) / d. Of ridges whose errors differ by no
        more than rounding, the smallest is chosen. Raises `ValueError` where a fold has no pairs.
        """
        self._require_pairs()
        self._flush()
        empty = sum(fold.rows == 0 for fold in self.folds)
        if empty or len(self.folds) < 2:
            raise ValueError(
                f"{self.pairs} pairs leave {empty} of {len(self.folds)} folds empty, and cross-validation "
                "needs at least 2 folds and a pair in each: add pairs, use fewer folds, or give a ridge"
            )
        ridges = RELATIVE_RIDGES * (self.mean_eigenvalue or 1.0)
        errors = np.zeros(len(ridges))
        total: Matrix = np.sum([fold.scored.cross for fold in self.folds], axis=0)
        for fold in self.folds:
            others = [other.gram for other in self.folds if other is not fold]
            cross = fold.scored.cross
            errors += _error_change(others, total - cross, [fold.gram], cross, ridges) + fold.scored.target
        rounding = 1e-12 * sum(fold.scored.target for fold in self.folds)
        best = int(np.flatnonzero(errors <= errors.min() + rounding)[0])
        errors /= self.rows * self.d
        return RidgeChoice(float(ridges[best]), tuple(ridges.tolist()), tuple(errors.tolist()))

    @property
    def mean_eigenvalue(self) -> float:
        """trace(AᵀA) / d: what a ridge has to be compared with."""
        self._flush()
        return sum(gram.trace() for gram in self._grams) / self.d

    @property
    def target(self) -> float:
        """‖B‖² over all pairs seen."""
        self._flush()
        return self.total.target

    def squared_error(self, weights: Tensor) -> float:
        """‖A W - B‖² over all pairs seen, for any W (d, d).

        Exact to about 1e-7 ‖B‖² for rows in float32, 1e-13 in float64.
        """
        self._flush()
        W = np.asarray(weights, dtype=np.float64)
        quadratic = float(np.vdot(W, dense(self._grams, self.d) @ W))
        return max(quadratic - 2 * float(np.vdot(W, self.total.cross)) + self.target, 0.0)

    def held_out_errors(self, held_out: LeastSquares, ridges: Sequence[float]) -> Matrix:
        """‖A W - B‖² over the pairs of `held_out`, for the W that each ridge gives on the pairs seen here.

        One eigendecomposition serves them all; 0.0 is plain least squares.
        """
        self._require_pairs()
        self._flush()
        held_out._flush()
        crosses = self.total.cross, held_out.total.cross
        change = _error_change(self._grams, crosses[0], held_out._grams, crosses[1], np.asarray(ridges))
        return change + held_out.target

    @property
    def _grams(self) -> list[SymmetricSum]:
        return [fold.gram for fold in self.folds]

    def _check(self, F: Tensor, F_en: Tensor) -> None:
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
        for name, tensor in (("F", F), ("F_en", F_en)):
            finite = tensor.isfinite().all(-1)
            if not finite.all():
                pair, layer = (int(value) for value in (~finite).nonzero()[0])
                raise ValueError(
                    f"{name} is not finite in pair {self.pairs + pair}, layer {layer} (both from 0)"
                )

    def _require_pairs(self) -> None:
        if not self.rows:
            raise ValueError("no pairs yet: call update(F, F_en) first")

    def _flush(self) -> None:
        """Adds what waits in the buffer."""
        if self._buffer is None or not self._buffer.pairs:
            return
        count, self._buffer.pairs = self._buffer.pairs, 0
        inputs, targets = (part[:count].flatten(0, 1).numpy() for part in (self._buffer.F, self._buffer.F_en))
        folds = np.repeat(self._buffer.folds[:count], len(inputs) // count)
        self.total.add_rows(inputs, targets)
        scored = targets if self.signs is None else targets @ self.signs.astype(targets.dtype, copy=False)
        for number, fold in enumerate(self.folds):
            own = folds == number
            if own.any():
                rows = inputs[own]
                fold.gram.add_rows(rows)
                fold.scored.add_rows(rows, scored[own])
                fold.rows += len(rows)


def _error_change(
    train: Sequence[SymmetricSum],
    train_cross: Matrix,
    held_out: Sequence[SymmetricSum],
    held_out_cross: Matrix,
    ridges: Matrix,
) -> Matrix:
    """‖A W - B‖² - ‖B‖² over held-out rows, for the W (d, m) that each ridge gives on the training rows.

    With AᵀA = Q Λ Qᵀ and C = AᵀB of the training rows, W = Q D Qᵀ C where D = (Λ + ridge)⁻¹ is diagonal. With
    Aₕ and Cₕ of the held-out rows, and δ the diagonal of D, the result is δᵀ (H ∘ N) δ - 2 δ·r where
    H = Qᵀ AₕᵀAₕ Q, N = Qᵀ C Cᵀ Q and r is the diagonal of Qᵀ C Cₕᵀ Q. One eigendecomposition serves all.
    """
    d = len(train_cross)
    eigenvalues, Q = _eigh(dense(train, d))
    deltas = np.stack([_inverse(eigenvalues, ridge) for ridge in ridges], axis=1)  # (d, ridges)
    projected = Q.T @ train_cross
    r = np.einsum("im,im->i", projected, Q.T @ held_out_cross)
    gram = dense(held_out, d)
    quadratic = np.zeros(len(ridges))
    for start in range(0, d, BLOCK):
        stop = start + BLOCK
        # These rows of H ∘ N, from the diagonal block to the right: it is symmetric.
        rows = (gram @ Q[:, start:stop]).T @ Q[:, start:]
        rows *= projected[start:stop] @ projected[start:].T
        rows[:, BLOCK:] *= 2
        quadratic += np.einsum("ir,ir->r", deltas[start:stop], rows @ deltas[start:])
    return quadratic - 2 * (r @ deltas)


def _solve(grams: Sequence[SymmetricSum], cross: Matrix, ridge: float) -> Matrix:
    """W (d, d) = (AᵀA + ridge)⁻¹ AᵀB; of minimum norm where ridge is 0 and AᵀA singular."""
    d = len(cross)
    gram = dense(grams, d)
    gram[np.diag_indices(d)] += ridge
    # Scaled to a unit diagonal, so that a few outlier dimensions do not make the matrix look singular.
    scales = np.sqrt(gram.diagonal())
    if scales.all():
        gram /= scales
        gram /= scales[:, None]
        norm = scipy.linalg.lapack.dlange("1", gram)
        try:
            factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            pass
        else:
            condition, _ = scipy.linalg.lapack.dpocon(factor[0], norm, uplo="L")
            if ridge > 0 or condition > d * np.finfo(np.float64).eps:
                scaled = np.divide(cross, scales[:, None], order="F")
                weights = scipy.linalg.cho_solve(factor, scaled, overwrite_b=True, check_finite=False)
                return np.divide(weights, scales[:, None], order="C")
        del gram
    eigenvalues, Q = _eigh(dense(grams, d))
    projected = Q.T @ cross
    projected *= _inverse(eigenvalues, ridge)[:, None]
    return Q @ projected


def _eigh(gram: Matrix) -> tuple[Matrix, Matrix]:
    """Eigenvalues (d,), never negative, and eigenvectors (d, d) of `gram`, which is overwritten."""
    # Divide and conquer ("evd"): the fastest LAPACK has for all eigenvectors.
    eigenvalues, vectors = scipy.linalg.eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    return np.maximum(eigenvalues, 0.0), vectors


def _inverse(eigenvalues: Matrix, ridge: float) -> Matrix:
    """1 / (eigenvalue + ridge); 0 for what is no more than rounding, where ridge is 0."""
    if ridge > 0:
        return 1 / (eigenvalues + ridge)
    kept = eigenvalues > eigenvalues.max() * len(eigenvalues) * np.finfo(np.float64).eps
    return np.divide(1.0, eigenvalues, out=np.zeros_like(eigenvalues), where=kept)


def _random_signs(d: int) -> NDArray[np.float32]:
    """(d, DIRECTIONS) of ±1 / √DIRECTIONS: ‖B S‖² is ‖B‖² on average. The same in every process."""
    signs = np.random.default_rng(0).integers(0, 2, (d, DIRECTIONS), dtype=np.int8)
    return (signs.astype(np.float32) * 2 - 1) / np.float32(DIRECTIONS**0.5)
