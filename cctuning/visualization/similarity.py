"""Similarity of the same sentence in two languages, in numbers: a picture alone convinces nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Similarity:
    """n sentences in language `a` against the same in `b`; cosines are means, in [-1, 1]."""

    a: str
    b: str
    parallel: float  # cosine of a sentence in a and the same one in b
    other: float  # cosine of a sentence in a and another one in b
    retrieval: float  # accuracy in [0, 1]: the nearest in b of a sentence in a is the same one; by chance 1/n


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of (n, d) at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths))


def retrieval(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The share of rows of `a` whose nearest of `b` (cosine) is in their place, both (n, d); in [0, 1].

    Where several are equally near, each counts its share, so vectors that are all the same retrieve by
    chance, 1 / n.
    """
    return _hits(unit(a) @ unit(b).T)


def _hits(cosines: NDArray[np.float64]) -> float:
    # Sums of products are equal up to rounding only.
    nearest = cosines >= cosines.max(1, keepdims=True) - 1e-12
    return float((np.diagonal(nearest) / nearest.sum(1)).mean())


def similarities(vectors: Mapping[str, NDArray[np.float64]]) -> list[Similarity]:
    """Of every pair of languages, in both directions, from n >= 2 vectors (n, d) by language.

    Row i of every language is the same sentence.
    """
    rows = {language: unit(of_language) for language, of_language in vectors.items()}
    pairs = []
    for a, b in permutations(rows, 2):
        cosines = rows[a] @ rows[b].T
        parallel = np.diagonal(cosines)
        n = len(cosines)
        others = (cosines.sum() - parallel.sum()) / (n * n - n)
        pairs.append(Similarity(a, b, float(parallel.mean()), float(others), _hits(cosines)))
    return pairs


def mean_similarity(pairs: Sequence[Similarity]) -> dict[str, float]:
    """The means over all pairs and directions: `parallel`, `other`, their `difference`, and `retrieval`."""
    means = {
        name: float(np.mean([getattr(pair, name) for pair in pairs]))
        for name in ("parallel", "other", "retrieval")
    }
    return means | {"difference": means["parallel"] - means["other"]}
