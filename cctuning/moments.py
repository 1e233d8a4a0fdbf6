"""Second moments of rows that stream past: all that a least-squares fit needs to know of them.

For rows A (n, d) and targets B (n, d) these are AᵀA, AᵀB and ‖B‖², in float64 and in place. Products of
float32 rows would be off by 1e-7 of the largest eigenvalue of AᵀA, and feed-forward outputs have directions
far smaller than that.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm

Matrix = NDArray[np.float64]

# Rows of a symmetric matrix that are kept, and multiplied, together: wide enough for BLAS to run at full
# speed.
BLOCK = 256


class SymmetricSum:
    """AᵀA (d, d), summed over rows: the upper triangle only, which halves both memory and work.

    Block i holds rows [i·BLOCK, (i+1)·BLOCK) from the diagonal block to the right.
    """

    def __init__(self, d: int) -> None:
        self.d = d
        self.starts = range(0, d, BLOCK)
        # Column-major, like all matrices here: BLAS then adds in place, and scipy does not copy.
        self.blocks = [np.zeros((min(BLOCK, d - start), d - start), order="F") for start in self.starts]

    def add_rows(self, rows: Matrix) -> None:
        """Adds AᵀA of `rows` (n, d), column-major."""
        for start, block in zip(self.starts, self.blocks, strict=True):
            right = rows[:, start:]
            dgemm(1.0, right[:, :BLOCK], right, 1.0, block, trans_a=True, overwrite_c=True)

    def add(self, other: SymmetricSum) -> None:
        """Adds another sum."""
        for block, others in zip(self.blocks, other.blocks, strict=True):
            block += others

    def add_to(self, matrix: Matrix) -> None:
        """Adds the full symmetric matrix to `matrix` (d, d), in place."""
        for start, block in zip(self.starts, self.blocks, strict=True):
            stop = start + len(block)
            matrix[start:stop, start:] += block
            matrix[stop:, start:stop] += block[:, len(block) :].T

    def times(self, columns: Matrix) -> Matrix:
        """The product with `columns` (d, m), column-major."""
        product = np.zeros(columns.shape, order="F")
        for start, block in zip(self.starts, self.blocks, strict=True):
            stop = start + len(block)
            product[start:stop] += block @ columns[start:]
            product[stop:] += block[:, len(block) :].T @ columns[start:stop]
        return product

    def trace(self) -> float:
        """Sum of the diagonal, ‖A‖²."""
        return float(sum(np.trace(block) for block in self.blocks))


class Moments:
    """AᵀA (`gram`), AᵀB (`cross`, (d, d)), ‖B‖² (`target`) and the number of `rows`."""

    def __init__(self, d: int) -> None:
        self.gram = SymmetricSum(d)
        self.cross: Matrix = np.zeros((d, d), order="F")
        self.target = 0.0
        self.rows = 0

    def add_rows(self, inputs: Matrix, targets: Matrix) -> None:
        """Adds the rows of `inputs` and `targets`, both (n, d), float64 and column-major."""
        self.gram.add_rows(inputs)
        dgemm(1.0, inputs, targets, 1.0, self.cross, trans_a=True, overwrite_c=True)
        self.target += float(np.einsum("nd,nd->", targets, targets))
        self.rows += len(inputs)

    def add(self, other: Moments) -> None:
        """Adds the moments of other rows."""
        self.gram.add(other.gram)
        self.cross += other.cross
        self.target += other.target
        self.rows += other.rows

    def squared_error(self, weights: Matrix) -> float:
        """‖A W - B‖² for `weights` W (d, d), from the moments: tr(Wᵀ AᵀA W) - 2 tr(Wᵀ AᵀB) + ‖B‖².

        Exact to about 1e-13 ‖B‖²: the three terms cancel where the fit is perfect.
        """
        quadratic = 0.0
        for columns in column_blocks(len(weights)):
            part = np.asfortranarray(weights[:, columns])
            quadratic += float(np.vdot(part, self.gram.times(part)))
        return max(quadratic - 2 * float(np.einsum("ij,ij->", weights, self.cross)) + self.target, 0.0)


def column_blocks(d: int) -> list[slice]:
    """Slices that cover d columns, BLOCK at a time: temporaries stay small."""
    return [slice(start, min(start + BLOCK, d)) for start in range(0, d, BLOCK)]


def dense_gram(parts: Iterable[Moments], d: int) -> Matrix:
    """AᵀA (d, d) of all parts together, a new column-major matrix."""
    gram: Matrix = np.zeros((d, d), order="F")
    for part in parts:
        part.gram.add_to(gram)
    return gram


def dense_cross(parts: Iterable[Moments], d: int, columns: slice = slice(None)) -> Matrix:
    """The chosen columns of AᵀB of all parts together, a new column-major matrix."""
    cross: Matrix = np.zeros((d, len(range(*columns.indices(d)))), order="F")
    for part in parts:
        cross += part.cross[:, columns]
    return cross
