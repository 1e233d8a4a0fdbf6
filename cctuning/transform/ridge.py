"""Ridge regression from sums over rows, and the search for its penalty on a grid."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg

from cctuning.transform.moments import Matrix, SymmetricSum, product
from cctuning.transform.normal_equations import NormalEquations

# From places on the grid to the error at each.
Errors = Callable[[list[int]], list[float]]


def ridge_weights(equations: NormalEquations, ridge: float) -> Matrix:
    """W (d, m) = (AᵀA + ridge)⁻¹ AᵀB.

    Of minimum norm where ridge is 0 and AᵀA singular. Directions of A below about 1e-8 √d of the largest
    count as absent then: squaring loses them.
    """
    gram, cross = equations.gram, equations.cross
    weights = _solve(gram(), cross, ridge) if ridge > 0 else _solve_scaled(gram(), cross)
    return _minimum_norm(gram(), cross, ridge) if weights is None else weights


def reduced_rank(weights: Matrix, cross: Matrix, rank: int) -> tuple[Matrix, Matrix]:
    """Factors (d, rank) and (rank, m) of the W of at most this rank with the least ‖A W - B‖² + ridge ‖W‖².

    `weights` is the W of full rank, and `cross` AᵀB. It is projected onto the directions of B of which most
    is predicted: the first eigenvectors of BᵀA (AᵀA + ridge)⁻¹ AᵀB.
    """
    outputs = cross.shape[1]
    predicted = product(cross.T, weights)
    _, vectors = scipy.linalg.eigh(
        (predicted + predicted.T) / 2, subset_by_index=[outputs - rank, outputs - 1], check_finite=False
    )
    return product(weights, vectors), vectors.T


def held_out_errors(
    training: NormalEquations, held_out_gram: SymmetricSum, held_out_cross: Matrix, ridges: Sequence[float]
) -> list[float]:
    """‖A W - B‖² - ‖B‖² over held-out rows, for the W that each ridge gives on the training rows.

    Infinite where a ridge is too small for AᵀA + ridge to be inverted.
    """
    errors = []
    gram = training.gram()
    space = np.empty_like(gram, order="F")
    for ridge in ridges:
        np.copyto(space, gram)
        weights = _solve(space, training.cross, ridge)
        if weights is None:
            errors.append(np.inf)
            continue
        weights = training.with_means(weights)
        quadratic = np.einsum("dm,dm->", weights, held_out_gram.times(weights))
        errors.append(float(quadratic - 2 * np.einsum("dm,dm->", weights, held_out_cross)))
    return errors


def coarse_to_fine(errors: Errors, places: int, rounding: float) -> int:
    """The best of `places`, found from every fourth one, then halfway to its neighbours, then next to it."""
    by_place = _evaluate(errors, range(0, places, 4), places)
    for step in (2, 1):
        best = _best(by_place, rounding)
        by_place |= _evaluate(errors, (best - step, best + step), places)
    return _best(by_place, rounding)


def climb(errors: Errors, start: int, places: int, rounding: float) -> tuple[int, dict[int, float]]:
    """From `start` to a place with no better neighbour; returns it, and the errors of all places tried."""
    best, by_place = start, _evaluate(errors, (start - 1, start, start + 1), places)
    while (better := _best(by_place, rounding)) != best:
        best = better
        by_place |= _evaluate(errors, {best - 1, best + 1} - by_place.keys(), places)
    return best, by_place


def _evaluate(errors: Errors, wanted: Sequence[int] | set[int] | range, places: int) -> dict[int, float]:
    inside = sorted(place for place in wanted if 0 <= place < places)
    return dict(zip(inside, errors(inside), strict=True)) if inside else {}


def _best(by_place: dict[int, float], rounding: float) -> int:
    """The place with the smallest error; of those that differ by no more than rounding, the first."""
    least = min(by_place.values())
    return min(place for place, error in by_place.items() if error <= least + rounding)


def _solve(gram: Matrix, cross: Matrix, ridge: float) -> Matrix | None:
    """By Cholesky, in place of `gram`; None where that fails."""
    gram[np.diag_indices(len(gram))] += ridge
    try:
        factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    weights: Matrix = scipy.linalg.cho_solve(factor, cross, check_finite=False)
    return weights


def _solve_scaled(gram: Matrix, cross: Matrix) -> Matrix | None:
    """Without a ridge, by Cholesky, in place of `gram`; None where AᵀA is singular to rounding.

    A few outlier dimensions do not make it so: it is scaled to a unit diagonal first.
    """
    scales = np.sqrt(gram.diagonal())
    if not scales.all():
        return None
    gram /= scales
    gram /= scales[:, None]
    norm = scipy.linalg.lapack.dlange("1", gram)
    try:
        factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    condition, _ = scipy.linalg.lapack.dpocon(factor[0], norm, uplo="L")
    if condition < len(gram) * np.finfo(np.float64).eps:
        return None
    weights: Matrix = scipy.linalg.cho_solve(factor, cross / scales[:, None], check_finite=False)
    weights /= scales[:, None]
    return weights


def _minimum_norm(gram: Matrix, cross: Matrix, ridge: float) -> Matrix:
    """By eigendecomposition, without the directions whose eigenvalue is no more than rounding."""
    eigenvalues, vectors = scipy.linalg.eigh(gram, overwrite_a=True, check_finite=False)
    kept = eigenvalues > max(eigenvalues[-1], 0.0) * len(gram) * np.finfo(np.float64).eps
    inverses = np.divide(1.0, eigenvalues + ridge, out=np.zeros_like(eigenvalues), where=kept)
    return product(vectors, inverses[:, None] * product(vectors.T, cross))
