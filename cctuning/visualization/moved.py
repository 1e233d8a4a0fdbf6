"""Sizes of what the connection moves, by layer: F_en against the stream that it is added to, and F beside it.

Letters: n sentences, L decoder layers, d hidden size. F (n, L, d) are a layer's outputs at the response start
of prompts in another language, F_en those of their English parallels (eq. 2 of the CC-Tuning paper).
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from cctuning.reporting.tables import RecordTable
from cctuning.transform.affine import Transform, affine
from cctuning.visualization.similarity import retrieval

Outputs = NDArray[np.float64]


@dataclass(frozen=True)
class MovedLayer:
    """One layer's F_en, and how well a sentence's own F finds it. Retrieval is in [0, 1]; by chance 1 / n."""

    layer: int  # from 0
    size: float  # mean |F_en|
    size_over_first: float  # over the mean |target layer's own output| of the other languages' prompts
    differs: float  # root mean square of what differs between sentences, over that of F_en; in [0, 1]
    retrieval: float  # how often F is nearest (cosine) to its own F_en, mean over languages
    retrieval_centred: float  # the same less the mean over the sentences, on each side
    transformed: float | None  # retrieval of F·W_T; None without a Transform Matrix
    transformed_centred: float | None


def measure_moved(
    F: Mapping[str, Outputs], F_en: Outputs, transform: Transform | None = None, *, target: Sequence[Outputs]
) -> list[MovedLayer]:
    """Every layer's sizes and retrieval, from F by language, n >= 2 sentences in the order of F_en.

    `transform`: W_T, as `affine` takes it. `target`: the outputs (n, d) that f is added to, of each language.
    """
    first_size = float(np.mean([_size(outputs) for outputs in target]))
    moved = (
        [] if transform is None else [affine(torch.from_numpy(own), transform).numpy() for own in F.values()]
    )
    measured = []
    for layer in range(F_en.shape[1]):
        english = F_en[:, layer]
        centred = english - english.mean(0)
        outputs = [of_language[:, layer] for of_language in F.values()]
        plain = _retrievals(outputs, english, centred)
        transformed: tuple[float, float] | tuple[None, None] = (None, None)
        if moved:
            transformed = _retrievals([of_language[:, layer] for of_language in moved], english, centred)
        whole, part = float(np.square(english).sum()), float(np.square(centred).sum())
        measured.append(
            MovedLayer(
                layer=layer,
                size=_size(english),
                size_over_first=_size(english) / first_size if first_size else float("nan"),
                differs=(part / whole) ** 0.5 if whole else 0.0,
                retrieval=plain[0],
                retrieval_centred=plain[1],
                transformed=transformed[0],
                transformed_centred=transformed[1],
            )
        )
    return measured


def moved_csv(moved: Mapping[str, Sequence[MovedLayer]]) -> str:
    """The text of moved.csv, a line a model and layer."""
    names = [field.name for field in fields(MovedLayer)]
    rows = [[name, *astuple(layer)] for name, layers in moved.items() for layer in layers]
    return RecordTable(["model", *names], rows).csv()


def _size(vectors: Outputs) -> float:
    return float(np.linalg.norm(vectors, axis=-1).mean())


def _retrievals(outputs: Sequence[Outputs], english: Outputs, centred: Outputs) -> tuple[float, float]:
    """How often outputs find their vectors in `english`, and less each side's mean; means over languages."""
    plain = [retrieval(vectors, english) for vectors in outputs]
    less_mean = [retrieval(vectors - vectors.mean(0), centred) for vectors in outputs]
    return float(np.mean(plain)), float(np.mean(less_mean))
