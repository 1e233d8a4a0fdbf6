"""Sums of products against the products written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.transform import moments


@given(d=st.integers(1, 20), count=st.integers(1, 9), block=st.integers(1, 7), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_symmetric_sums_of_any_block_size(d, count, block, seed):
    generator = np.random.default_rng(seed)
    A, X = generator.normal(size=(count, d)), generator.normal(size=(d, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "BLOCK", block)
        total = moments.SymmetricSum(d)
        total.add_rows(A)
        total.add_rows(A)
        dense = np.zeros((d, d), order="F")
        total.add_to(dense)
        np.testing.assert_allclose(dense, 2 * A.T @ A, atol=1e-12)
        np.testing.assert_allclose(total.times(X), 2 * A.T @ A @ X, atol=1e-12)
        assert total.trace() == pytest.approx(2 * (A**2).sum())


def test_sums_of_sums():
    generator = np.random.default_rng(0)
    A, B = generator.normal(size=(50, 9)), generator.normal(size=(50, 4))
    gram, cross = moments.SymmetricSum(9), moments.CrossSum(9, 4)
    for part in (slice(0, 20), slice(20, None)):
        some_gram, some_cross = moments.SymmetricSum(9), moments.CrossSum(9, 4)
        some_gram.add_rows(A[part])
        some_cross.add_rows(A[part], B[part])
        gram.add(some_gram)
        cross.add(some_cross)
    np.testing.assert_allclose(moments.dense([gram, gram], 9), 2 * A.T @ A, atol=1e-12)
    np.testing.assert_allclose(cross.cross, A.T @ B, atol=1e-12)
    assert cross.target == pytest.approx((B**2).sum())


def test_float32_rows_are_summed_in_float64():
    rows = np.full((1, 2), 0.1, dtype=np.float32)
    gram, cross = moments.SymmetricSum(2), moments.CrossSum(2, 2)
    for _ in range(20000):
        gram.add_rows(rows)
        cross.add_rows(rows, rows)
    square = float(np.float32(0.1)) ** 2
    np.testing.assert_allclose(moments.dense([gram], 2), 20000 * square, rtol=1e-12)
    np.testing.assert_allclose(cross.cross, 20000 * square, rtol=1e-7)
