"""The activations of a question as one short vector, which a probe can learn from."""

import numpy as np
from numpy.typing import ArrayLike

from cctuning.analysis.selectors.answers import Array
from cctuning.tools.extras import extra

SIZE = 512


def features(source: ArrayLike, target: ArrayLike, *, size: int = SIZE, seed: int = 0) -> Array:
    """(Q, k) from what the sub-layers of both prompts put out at the response start, (Q, L, d) each.

    Every layer's vector is scaled to length 1, since late layers' are many times longer than early ones';
    all are joined, and where that is more than `size` numbers, projected to `size` of them by a sparse random
    matrix, which nearly keeps their distances (Johnson and Lindenstrauss). No question's vector depends on
    any other question.
    """
    joined = np.concatenate([_unit(source), _unit(target)], axis=1)
    flat = joined.reshape(len(joined), -1)
    if flat.shape[1] <= size:
        return flat
    with extra("analysis"):
        from sklearn.random_projection import SparseRandomProjection
    projection = SparseRandomProjection(size, dense_output=True, random_state=seed)
    return np.asarray(projection.fit(flat[:1]).transform(flat), dtype=np.float64)


def _unit(activations: ArrayLike) -> Array:
    vectors = np.asarray(activations, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
