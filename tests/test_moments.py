"""Sums of products against the products written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning import moments


@given(d=st.integers(1, 20), count=st.integers(1, 9), block=st.integers(1, 7), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_symmetric_sums_of_any_block_size(d, count, block, seed):
    generator = np.random.default_rng(seed)
    A, X = generator.normal(size=(count, d)), generator.normal(size=(d, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "BLOCK", block)
        total = moments.SymmetricSum(d)
        total.add_rows(np.asfortranarray(A))
        total.add_rows(np.asfortranarray(A))
        dense = np.zeros((d, d), order="F")
        total.add_to(dense)
        np.testing.assert_allclose(dense, 2 * A.T @ A, atol=1e-12)
        np.testing.assert_allclose(total.times(X), 2 * A.T @ A @ X, atol=1e-12)
        assert total.trace() == pytest.approx(2 * (A**2).sum())


def test_squared_errors_and_sums_of_moments():
    generator = np.random.default_rng(0)
    A, B, W = (generator.normal(size=size) for size in ((50, 9), (50, 9), (9, 9)))
    total = moments.Moments(9)
    for part in (slice(0, 20), slice(20, None)):
        some = moments.Moments(9)
        some.add_rows(np.asfortranarray(A[part]), np.asfortranarray(B[part]))
        total.add(some)
    assert total.rows == 50
    assert total.squared_error(W) == pytest.approx(((A @ W - B) ** 2).sum())
    np.testing.assert_allclose(moments.dense_cross([total], 9, slice(2, 5)), A.T @ B[:, 2:5], atol=1e-12)
    np.testing.assert_allclose(moments.dense_gram([total, total], 9), 2 * A.T @ A, atol=1e-12)
