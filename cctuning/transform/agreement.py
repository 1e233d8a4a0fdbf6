"""Agreement on the layer that the pooling chooses, without the English prompt and with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cctuning.transform.affine import Transform, affine
from cctuning.transform.pairs import PairBatch


class LayerAgreement(NamedTuple):
    """The layer chosen for each of n pairs, (n,) each, in the order of the pairs' indices."""

    from_english: Tensor  # from F_en: bilingual inference
    from_transformed: Tensor  # from F W_T: monolingual inference
    from_own: Tensor  # from F, as if W_T were the identity

    @classmethod
    def measure(cls, model: Any, batches: Sequence[PairBatch], transform: Transform) -> LayerAgreement | None:
        """The choices of `model`; None where its pooling does not look at the outputs."""
        chosen = []
        for batch in batches:
            from_english = _chosen_layers(model, batch.F_en, batch.embeddings)
            if model.last_selection.logits is None:
                return None
            transformed = affine(batch.F.double(), transform).to(batch.F.dtype)
            others = (_chosen_layers(model, outputs, batch.embeddings) for outputs in (transformed, batch.F))
            chosen.append([from_english, *others])
        order = torch.tensor([index for batch in batches for index in batch.indices]).argsort()
        return cls(*(torch.cat(parts)[order] for parts in zip(*chosen, strict=True)))

    def of(self, pairs: Sequence[int]) -> LayerAgreement:
        """Those of some pairs only."""
        rows = torch.as_tensor(pairs, dtype=torch.long)
        return LayerAgreement(*(layers[rows] for layers in self))

    @property
    def transformed(self) -> float:
        """Share of pairs, 0 to 1, for which F W_T leads to the layer that F_en leads to."""
        return _share(self.from_transformed == self.from_english)

    @property
    def own(self) -> float:
        """The same for F."""
        return _share(self.from_own == self.from_english)

    @property
    def most_frequent(self) -> float:
        """The same for always naming the layer that F_en leads to most often."""
        return _share(self.from_english.mode().values == self.from_english)


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())


@torch.no_grad()
def _chosen_layers(model: Any, outputs: Tensor, embeddings: Tensor) -> Tensor:
    """The layer (b,) that the connection takes, or weighs most, given outputs (b, L, d) and e (b, d)."""
    model.fuse(outputs.to(model.device), embeddings.to(model.device))
    layers: Tensor = model.last_selection.weights.argmax(-1)
    return layers.cpu()
