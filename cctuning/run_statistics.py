"""What a training run tells beyond its loss: the loss per language, and the Decision Maker's choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cctuning.modeling_cctuning import Selection


class RunningStatistics:
    """Sums over batches, kept on the device so that nothing waits for it until they are read.

    `languages` are the names that the batches' language numbers stand for.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = list(languages)
        self._sums: dict[str, Tensor] = {}

    def add_losses(self, language: Tensor, nll: Tensor, tokens: Tensor) -> None:
        """Adds a batch: language numbers, summed negative log-likelihoods (nats), label tokens; each (B,)."""
        per_language = torch.zeros(2, len(self.languages), dtype=torch.float64, device=nll.device)
        per_language.index_add_(1, language, torch.stack([nll, tokens]).double())
        self._add("losses", per_language)

    def add_selection(self, selection: Selection) -> None:
        """Adds a batch's choices: weights (B, L), and where there are logits (B, L) their entropy."""
        weights = selection.weights.double()
        self._add("layers", weights.sum(0))
        if selection.logits is not None:
            log_p = selection.logits.double().log_softmax(-1)
            self._add("entropy", -(log_p.exp() * log_p).sum())
        self._add("rows", weights.new_tensor(float(len(weights))))

    def _add(self, name: str, value: Tensor) -> None:
        self._sums[name] = self._sums[name] + value if name in self._sums else value

    def collect(self, reduce: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, float]:
        """The statistics since the last call, and starts anew; `reduce` sums a tensor over processes.

        `loss/<language>`: mean nats per label token. `decision_maker/entropy`: of the softmax of its logits,
        in nats. `decision_maker/layer_<l>`: the share of rows that took layer l, from 0.
        """
        sums = {name: reduce(value) for name, value in sorted(self._sums.items())}
        self._sums = {}
        values: dict[str, float] = {}
        if "losses" in sums:
            nll, tokens = sums["losses"].tolist()
            for name, total, count in zip(self.languages, nll, tokens, strict=True):
                if count:
                    values[f"loss/{name}"] = total / count
        if "entropy" in sums:
            values["decision_maker/entropy"] = float(sums["entropy"] / sums["rows"])
        for layer, share in enumerate((sums["layers"] / sums["rows"]).tolist() if "rows" in sums else ()):
            values[f"decision_maker/layer_{layer:02d}"] = share
        return values
