"""The representations of several models side by side: numbers, and points on a plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cctuning.visualization.flat_map import flat_map
from cctuning.visualization.similarity import Similarity, mean_similarity, similarities


@dataclass(frozen=True)
class ModelMap:
    """One model: how near parallel sentences lie, and where all lie on a plane."""

    name: str
    connection: str  # how it was asked: none, monolingual or bilingual
    similarities: Sequence[Similarity]
    points: Mapping[str, NDArray[np.float64]]  # (n, 2) by language

    @property
    def means(self) -> dict[str, float]:
        """Over all pairs of languages."""
        return mean_similarity(self.similarities)


def map_model(
    name: str, connection: str, vectors: Mapping[str, NDArray[np.float64]], *, perplexity: float, seed: int
) -> ModelMap:
    """The map of a model from its representations (n, d) of each language.

    Raises `ValueError` where they are all the same.
    """
    points = flat_map(vectors, perplexity=perplexity, seed=seed)
    return ModelMap(name, connection, similarities(vectors), points)
