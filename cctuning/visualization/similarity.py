"""How near the same sentence lies in two languages, in numbers: a picture alone convinces nobody."""

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


def similarities(vectors: Mapping[str, NDArray[np.float64]]) -> list[Similarity]:
    """Of every pair of languages, in both directions, from n >= 2 vectors (n, d) by language.

    Row i of every language is the same sentence. Where several sentences are equally near, each counts its
    share, so vectors that are all the same retrieve by chance.
    """
    rows = {language: unit(own) for language, own in vectors.items()}
    found = []
    for a, b in permutations(rows, 2):
        cosines = rows[a] @ rows[b].T
        own = np.diagonal(cosines)
        n = len(cosines)
        # Sums of products are equal up to rounding only.
        nearest = cosines >= cosines.max(1, keepdims=True) - 1e-12
        hits = np.diagonal(nearest) / nearest.sum(1)
        others = (cosines.sum() - own.sum()) / (n * n - n)
        found.append(Similarity(a, b, float(own.mean()), float(others), float(hits.mean())))
    return found


def mean_similarity(found: Sequence[Similarity]) -> dict[str, float]:
    """The means over all pairs and directions: `parallel`, `other`, their `difference`, and `retrieval`."""
    means = {
        name: float(np.mean([getattr(one, name) for one in found]))
        for name in ("parallel", "other", "retrieval")
    }
    return means | {"difference": means["parallel"] - means["other"]}
