"""The Transform Matrix: a streaming ridge regression from F to F_en (CC-Tuning, eq. 6 to 8). Tensors only.

Letters: N pairs, L decoder layers, d hidden size, K folds. A pair is one row's F and F_en, (L, d) each.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from cctuning.moments import Matrix, Moments, SymmetricSum, column_blocks, dense_cross, dense_gram

# Rows that are added in one go. Fixed, so that the sums are bit for bit the same however rows were batched.
_CHUNK_ROWS = 2048

# The penalties that cross-validation compares, as multiples of the mean eigenvalue of AᵀA: from practically
# none to practically no fit at all. A score of the whole grid costs less than one matrix product, so it can
# be fine.
RELATIVE_RIDGES = np.logspace(-10, 4, 57)


@dataclass(frozen=True)
class RidgeChoice:
    """What cross-validation found."""

    ridge: float  # the penalty with the smallest held-out error
    ridges: tuple[float, ...]  # all penalties that were compared, ascending
    errors: tuple[float, ...]  # their held-out mean squared error per element, over all folds


class _Pairs(NamedTuple):
    """Pairs on their way into the sums."""

    F: Tensor  # (pairs, L, d)
    F_en: Tensor
    folds: NDArray[np.int64]  # (pairs,)


class LeastSquares:
    """W (d, d) with F W ≈ F_en: argmin ‖A W - B‖² + ridge ‖W‖², where A and B are all rows of F and F_en.

    `ridge` is the textbook penalty, in units of AᵀA, not scaled by the number of rows or by their size. The
    ridges that cross-validation compares are scaled: they are multiples of trace(AᵀA) / d, so that its choice
    does not depend on the units of F.

    Only second moments are kept, K times 1.5 d² float64 numbers, whatever N is. All L rows of a pair are in
    one fold: pair number modulo K. The sums, and so W, do not depend on how the pairs were batched.
    """

    def __init__(self, d: int, folds: int = 5) -> None:
        if d < 1 or folds < 1:
            raise ValueError(f"d={d} and folds={folds} must be at least 1")
        self.d = d
        self.folds = [Moments(d) for _ in range(folds)]
        self.pairs = 0
        self.layers: int | None = None  # L, known from the first update on
        self._pending: list[_Pairs] = []  # less than a chunk
        self._pending_pairs = 0

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
        chunk = max(1, _CHUNK_ROWS // F.shape[1])
        F, F_en = F.detach(), F_en.detach()
        for start, stop in _cuts(count, chunk, first=chunk - self._pending_pairs):
            part = _Pairs(F[start:stop], F_en[start:stop], folds[start:stop])
            if self._pending_pairs + stop - start == chunk:
                self._add_chunk([*self._pending, part])
                self._pending, self._pending_pairs = [], 0
            else:  # the caller may use these tensors again
                own = _Pairs(part.F.to("cpu", copy=True), part.F_en.to("cpu", copy=True), part.folds)
                self._pending.append(own)
                self._pending_pairs += stop - start

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
        for fold, others in zip(self.folds, other.folds, strict=True):
            fold.add(others)
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
        return torch.from_numpy(np.ascontiguousarray(_solve(self.folds, self.d, float(ridge))))

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
        for fold in self.folds:
            errors += _held_out_errors([other for other in self.folds if other is not fold], [fold], ridges)
        rounding = 1e-12 * self.target
        best = int(np.flatnonzero(errors <= errors.min() + rounding)[0])
        errors /= self.rows * self.d
        return RidgeChoice(float(ridges[best]), tuple(ridges.tolist()), tuple(errors.tolist()))

    @property
    def mean_eigenvalue(self) -> float:
        """trace(AᵀA) / d: what a ridge has to be compared with."""
        self._flush()
        return sum(fold.gram.trace() for fold in self.folds) / self.d

    @property
    def target(self) -> float:
        """‖B‖² over all pairs seen."""
        self._flush()
        return sum(fold.target for fold in self.folds)

    def squared_error(self, weights: Tensor) -> float:
        """‖A W - B‖² over all pairs seen, for any W (d, d)."""
        self._flush()
        matrix = np.asarray(weights, dtype=np.float64)
        return sum(fold.squared_error(matrix) for fold in self.folds)

    def held_out_errors(self, held_out: LeastSquares, ridges: Sequence[float]) -> Matrix:
        """‖A W - B‖² over the pairs of `held_out`, for the W that each ridge gives on the pairs seen here.

        One eigendecomposition serves them all; 0.0 is plain least squares.
        """
        self._require_pairs()
        self._flush()
        held_out._flush()
        return _held_out_errors(self.folds, held_out.folds, np.asarray(ridges, dtype=np.float64))

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

    def _add_chunk(self, parts: Sequence[_Pairs]) -> None:
        folds = np.concatenate([part.folds for part in parts])
        inputs = torch.cat([part.F.cpu() for part in parts])
        targets = torch.cat([part.F_en.cpu() for part in parts])
        for number, fold in enumerate(self.folds):
            mask = torch.from_numpy(folds == number)
            if mask.any():
                fold.add_rows(_as_rows(inputs[mask]), _as_rows(targets[mask]))

    def _flush(self) -> None:
        if self._pending:
            self._add_chunk(self._pending)
        self._pending, self._pending_pairs = [], 0


def _held_out_errors(train: Sequence[Moments], held_out: Sequence[Moments], ridges: Matrix) -> Matrix:
    """‖A W - B‖² over the rows of `held_out`, for the W that each ridge gives on the rows of `train`.

    With AᵀA = Q Λ Qᵀ of the training rows, W = Q D Qᵀ AᵀB where D = (Λ + ridge)⁻¹ is diagonal. So the error
    is a quadratic form of D's diagonal vector, δ: δᵀ (H ∘ N) δ - 2 δ·r + ‖B‖², the matrices being those of
    the loop below. One eigendecomposition and four matrix products serve every ridge.
    """
    d = len(held_out[0].cross)
    eigenvalues, Q = _eigh(dense_gram(train, d))
    deltas = np.stack([_inverse(eigenvalues, ridge) for ridge in ridges], axis=1)  # (d, ridges)
    N = SymmetricSum(d)  # Qᵀ C Cᵀ Q, C being AᵀB of the training rows
    r = np.zeros(d)  # diagonal of Qᵀ C Cₕᵀ Q, Cₕ being AᵀB of the held-out rows
    for columns in column_blocks(d):
        projected = Q.T @ dense_cross(train, d, columns)
        r += np.einsum("ij,ij->i", projected, Q.T @ dense_cross(held_out, d, columns))
        N.add_rows(np.asfortranarray(projected.T))
    quadratic = np.zeros(len(ridges))
    for start, block in zip(N.starts, N.blocks, strict=True):
        stop = start + len(block)
        # The same rows and columns of H = Qᵀ Aₕᵀ Aₕ Q.
        H = np.sum([part.gram.times(Q[:, start:stop]) for part in held_out], axis=0).T @ Q[:, start:]
        H *= block
        H[:, len(block) :] *= 2  # for the triangle that is not kept
        quadratic += np.einsum("ir,ir->r", deltas[start:stop], H @ deltas[start:])
    return quadratic - 2 * (r @ deltas) + sum(part.target for part in held_out)


def _solve(parts: Sequence[Moments], d: int, ridge: float) -> Matrix:
    """W (d, d) = (AᵀA + ridge)⁻¹ AᵀB; of minimum norm where ridge is 0 and AᵀA singular."""
    gram = dense_gram(parts, d)
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
                cross = dense_cross(parts, d)
                cross /= scales[:, None]
                weights = scipy.linalg.cho_solve(factor, cross, overwrite_b=True, check_finite=False)
                weights /= scales[:, None]
                return weights
        del gram
    eigenvalues, Q = _eigh(dense_gram(parts, d))
    projected = Q.T @ dense_cross(parts, d)
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


def _cuts(count: int, chunk: int, *, first: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the parts of `count`: one of length `first`, then `chunk` each, then what is left."""
    start, stop = 0, first
    while start < count:
        yield start, min(stop, count)
        start, stop = stop, stop + chunk


def _as_rows(pairs: Tensor) -> Matrix:
    """(pairs, L, d) as (pairs * L, d), float64, column-major: what BLAS adds without a copy."""
    rows = pairs.reshape(-1, pairs.shape[-1])
    return np.asfortranarray(rows.to(torch.float64).numpy())
