"""Representations on a plane, by t-SNE."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cctuning.tools.extras import extra
from cctuning.visualization.similarity import unit


def fitting_perplexity(points: int, perplexity: float) -> float:
    """`perplexity`, or what so few points allow: a third of the others, as t-SNE's authors advise."""
    return min(perplexity, (points - 1) / 3)


def flat_map(
    vectors: Mapping[str, NDArray[np.float64]], *, perplexity: float, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Points (n, 2) for the vectors (n, d) of each language, all on one plane.

    The vectors are brought to length 1 first, so that near means a high cosine. Raises `ValueError` where
    all vectors are the same.
    """
    with extra("analysis"):
        from sklearn.manifold import TSNE
    rows = np.concatenate([unit(of_language) for of_language in vectors.values()])
    if np.ptp(rows, axis=0).max() < 1e-9:
        raise ValueError("all sentences have the same representation: there is nothing to draw")
    model = TSNE(
        n_components=2, perplexity=fitting_perplexity(len(rows), perplexity), init="pca", random_state=seed
    )
    points = model.fit_transform(rows)
    ends = np.cumsum([len(of_language) for of_language in vectors.values()])[:-1]
    return dict(zip(vectors, np.split(points.astype(np.float64), ends), strict=True))
