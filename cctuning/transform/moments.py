"""Sums over rows that stream past, in place: all that a least-squares fit needs to know of them.

For rows A (n, d) and targets B (n, m) these are AᵀA, AᵀB and ‖B‖², kept in float64.

All products are scipy's: numpy brings a BLAS of its own, and the idle threads of one keep spinning on the
cores that the other needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, get_blas_funcs

Matrix = NDArray[np.float64]
Rows = NDArray[np.floating[Any]]  # float32 or float64

# Rows of a matrix that are multiplied together: enough for BLAS's full speed.
BLOCK = 512


class SymmetricSum:
    """AᵀA (d, d), summed over rows: the upper triangle only, which halves both memory and work.

    Products are made in float64: the fit divides by the eigenvalues of AᵀA, and float32 products are off by
    1e-7 of the largest, which is more than the small ones. Block i holds rows [i·BLOCK, (i+1)·BLOCK) from the
    diagonal to the right.
    """

    def __init__(self, d: int) -> None:
        self.d = d
        self.starts = range(0, d, BLOCK)
        # Column-major: BLAS then adds in place, and scipy does not copy.
        self.blocks = [np.zeros((min(BLOCK, d - start), d - start), order="F") for start in self.starts]

    def add_rows(self, rows: Rows) -> None:
        """Adds AᵀA of `rows` (n, d)."""
        rows = np.asfortranarray(rows, dtype=np.float64)
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
        """The product with `columns` (d, m)."""
        result: Matrix = np.zeros(columns.shape, order="F")
        for start, block in zip(self.starts, self.blocks, strict=True):
            stop = start + len(block)
            result[start:stop] += product(block, columns[start:])
            result[stop:] += product(block[:, len(block) :].T, columns[start:stop])
        return result

    def trace(self) -> float:
        """Sum of the diagonal, ‖A‖²."""
        return float(sum(np.trace(block) for block in self.blocks))


class CrossSum:
    """AᵀB (d, m) as `cross` and ‖B‖² as `target`, summed over rows.

    Products are made in the rows' own precision and added up in float64. That is enough here: rounding is
    relative to each dimension's size and far below the noise of the rows themselves.
    """

    def __init__(self, d: int, m: int) -> None:
        self.cross: Matrix = np.zeros((d, m), order="F")
        self.target = 0.0

    def add_rows(self, inputs: Rows, targets: Rows) -> None:
        """Adds the rows of `inputs` (n, d) and `targets` (n, m)."""
        gemm = get_blas_funcs("gemm", (inputs, targets))
        for start in range(0, self.cross.shape[1], BLOCK):  # the product in between stays small
            columns = slice(start, start + BLOCK)
            self.cross[:, columns] += gemm(1.0, inputs.T, targets.T[columns], trans_b=True)
        self.target += float(np.einsum("nm,nm->", targets, targets, dtype=np.float64))

    def add(self, other: CrossSum) -> None:
        """Adds another sum."""
        self.cross += other.cross
        self.target += other.target


def dense(sums: Iterable[SymmetricSum], d: int) -> Matrix:
    """All `sums` together as a new matrix (d, d), column-major."""
    matrix: Matrix = np.zeros((d, d), order="F")
    for part in sums:
        part.add_to(matrix)
    return matrix


def product(left: Rows, right: Rows) -> NDArray[Any]:
    """The matrix product, in the wider precision of the two."""
    gemm = get_blas_funcs("gemm", (left, right))
    # What is not column-major would be copied; its transpose is.
    flips = [not matrix.flags.f_contiguous for matrix in (left, right)]
    a, b = (matrix.T if flip else matrix for matrix, flip in zip((left, right), flips, strict=True))
    result: NDArray[Any] = gemm(1.0, a, b, trans_a=flips[0], trans_b=flips[1])
    return result
