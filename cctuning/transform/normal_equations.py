"""The normal equations of a linear fit, or of an affine one, from sums over rows."""

from collections.abc import Sequence

import numpy as np

from cctuning.transform.moments import Matrix, SymmetricSum, dense


class NormalEquations:
    """AᵀA (d, d) and AᵀB (d, m); with `affine` of rows less their means, so that a ridge shrinks no mean.

    For `affine`, the sums are of rows of A with a 1 behind, (d + 1, d + 1) and (d + 1, m): their last row
    holds the sums of A and of B. Subtracting in float64 costs as many digits as the squared means exceed the
    variances by; a dimension that varies by no more than rounding counts as constant.
    """

    def __init__(self, grams: Sequence[SymmetricSum], cross: Matrix, *, affine: bool) -> None:
        self._grams, self.affine, self.cross = grams, affine, cross
        if affine:
            whole = dense(grams, grams[0].d)
            sizes, sums = whole.diagonal()[:-1], whole[-1]
            self.means, self.target_means = sums[:-1] / sums[-1], cross[-1] / sums[-1]
            self._constant = sizes - self.means * sums[:-1] <= len(whole) * np.finfo(np.float64).eps * sizes
            self.cross = np.asfortranarray(cross[:-1] - np.outer(self.means, cross[-1]))
            self.cross[self._constant] = 0.0

    def gram(self) -> Matrix:
        """A new AᵀA."""
        whole = dense(self._grams, self._grams[0].d)
        if not self.affine:
            return whole
        centred: Matrix = whole[:-1, :-1].copy(order="F")
        centred -= np.outer(whole[-1, :-1], self.means).T
        centred[self._constant] = 0.0
        centred[:, self._constant] = 0.0
        return centred

    def with_means(self, weights: Matrix) -> Matrix:
        """W (d, m) as it is; where the fit is affine (d + 1, m), whose last row is mean_B - mean_A W."""
        if not self.affine:
            return weights
        return np.vstack([weights, self.target_means - self.means @ weights])
