"""Scores of predicting F_en on pairs that a fit has not seen, per pair and layer, and in sum.

Letters: n pairs, L decoder layers, d hidden size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cctuning.transform.pairs import PairBatch


@dataclass(frozen=True)
class FitScores:
    """Scores of a prediction P of F_en; (n, L) float64 each, pairs in the order of their indices."""

    squared_error: Tensor  # ‖P - F_en‖²
    target: Tensor  # ‖F_en‖²
    centred: Tensor  # ‖F_en - the layer's mean over the pairs that were fitted‖²
    cosine: Tensor  # of P and F_en, -1 to 1; 0 where one of them is zero
    d: int

    def of(self, pairs: Sequence[int]) -> FitScores:
        """Those of some pairs only."""
        rows = torch.as_tensor(pairs, dtype=torch.long)
        return FitScores(
            self.squared_error[rows], self.target[rows], self.centred[rows], self.cosine[rows], self.d
        )

    def summary(self) -> dict[str, float | None]:
        """Over all pairs and layers. A share of something that is zero is None.

        mse: mean squared error per element; relative_error: ‖P - F_en‖ / ‖F_en‖; cosine: mean over rows;
        r2: 1 - ‖P - F_en‖² / ‖F_en - layer mean‖², so 0 is what each layer's mean gives, and 1 is perfect.
        """
        error = float(self.squared_error.sum())
        return {
            "mse": error / (self.squared_error.numel() * self.d),
            "relative_error": _root(_share(error, float(self.target.sum()))),
            "r2": None if (missed := _share(error, float(self.centred.sum()))) is None else 1 - missed,
            "cosine": float(self.cosine.mean()),
        }

    def per_layer(self) -> dict[str, list[float | None]]:
        """`summary`, layer by layer."""
        layers = [
            FitScores(
                self.squared_error[:, [layer]],
                self.target[:, [layer]],
                self.centred[:, [layer]],
                self.cosine[:, [layer]],
                self.d,
            ).summary()
            for layer in range(self.target.shape[1])
        ]
        return {name: [layer[name] for layer in layers] for name in layers[0]}


def score(
    batches: Sequence[PairBatch], predict: Callable[[Tensor], Tensor], layer_means: Tensor
) -> FitScores:
    """Scores of `predict`, which maps F (b, L, d) to its prediction of F_en, both in float64.

    `layer_means` (L, d) are the means of F_en over the pairs that were fitted.
    """
    parts: dict[str, list[Tensor]] = {"squared_error": [], "target": [], "centred": [], "cosine": []}
    for batch in batches:
        F_en = batch.F_en.double()
        prediction = predict(batch.F.double())
        parts["squared_error"].append((prediction - F_en).square().sum(-1))
        parts["target"].append(F_en.square().sum(-1))
        parts["centred"].append((F_en - layer_means).square().sum(-1))
        parts["cosine"].append(torch.cosine_similarity(prediction, F_en, dim=-1, eps=1e-30))
    order = torch.tensor([index for batch in batches for index in batch.indices]).argsort()
    joined = {name: torch.cat(tensors)[order] for name, tensors in parts.items()}
    return FitScores(**joined, d=layer_means.shape[-1])


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)
