"""Interventions: what takes the place of a layer's output, as a function of recorded outputs.

Letters: Q questions, R rows, L layers, k positions, d hidden size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cctuning.settings.near_matches import did_you_mean


@dataclass(frozen=True)
class Site:
    """A sub-layer of a target layer in R rows, and all that was recorded of their prompts.

    A row is a swap (i, j) of a cell. The k positions are the prompts' last tokens, the last one last.
    """

    own: Tensor  # (R, k, d): what the target layer gives in this forward, after swaps into earlier layers
    source_layers: Tensor  # (R,): i of each row
    target_layer: int  # j
    questions: Tensor  # (R,): of each row, its place in what follows
    sources: Tensor  # (Q, L, k, d): the sub-layers' outputs of the source prompts
    targets: Tensor  # (Q, L, k, d): those of the target prompts, as the model reads them

    @property
    def source(self) -> Tensor:
        """The outputs (R, k, d) of each row's source layer."""
        return self.of_source_layer(self.sources)

    @property
    def source_mean(self) -> Tensor:
        """The mean (R, k, d) over the source prompt's layers 0 to i."""
        half = self.sources.dtype in (torch.float16, torch.bfloat16)
        sums = self.sources.cumsum(1, dtype=torch.float32 if half else None)
        return self.of_source_layer(sums) / (1 + self.source_layers[:, None, None])

    @property
    def difference(self) -> Tensor:
        """The source prompt's output (R, k, d) in layer i less the target prompt's in the same layer."""
        return self.source - self.of_source_layer(self.targets)

    def of_source_layer(self, outputs: Tensor) -> Tensor:
        """From `outputs` (Q, L, k, d) those (R, k, d) of each row's question and source layer."""
        return outputs[self.questions, self.source_layers]


Change = Callable[[Site], Tensor]
"""What is put in place of `Site.own`, of its shape; each row by itself, and the same whenever it is asked."""

_NAMED: dict[str, Callable[[Site, float], Tensor]] = {
    "replace": lambda site, scale: scale * site.source,
    "add": lambda site, scale: site.own + scale * site.source,
    "replace_mean": lambda site, scale: scale * site.source_mean,
    "add_mean": lambda site, scale: site.own + scale * site.source_mean,
    "add_difference": lambda site, scale: site.own + scale * site.difference,
}
INTERVENTIONS = tuple(_NAMED)


@dataclass(frozen=True)
class Intervention:
    """A change at the last `positions` tokens of both prompts; a named one moves outputs times `scale`.

    `change` is one of `INTERVENTIONS` or a function of a `Site`. Raises `ValueError` for another name, a
    scale that is not finite or that a function cannot know of, and for positions that are no number above 0.
    """

    change: str | Change = "replace"
    scale: float = 1.0
    positions: int = 1

    def __post_init__(self) -> None:
        if not callable(self.change) and self.change not in _NAMED:
            near = did_you_mean(str(self.change), _NAMED)
            raise ValueError(
                f"intervention={self.change!r} is not one of {', '.join(_NAMED)}, and no function{near}"
            )
        if isinstance(self.scale, bool) or not math.isfinite(self.scale):
            raise ValueError(f"scale={self.scale!r} must be a finite number")
        if callable(self.change) and self.scale != 1.0:
            raise ValueError(f"scale={self.scale} is of named interventions: a function can scale by itself")
        if isinstance(self.positions, bool) or not isinstance(self.positions, int) or self.positions < 1:
            raise ValueError(f"positions={self.positions!r} must be a whole number above 0")

    @classmethod
    def of(cls, change: str | Change | Intervention) -> Intervention:
        """The intervention itself, or the one at the last token by a name or function."""
        return change if isinstance(change, Intervention) else cls(change)

    def __call__(self, site: Site) -> Tensor:
        """What stands in place of `site.own` (R, k, d). Raises `ValueError` for another shape."""
        if not callable(self.change):
            return _NAMED[self.change](site, self.scale)
        put = self.change(site)
        if not isinstance(put, Tensor) or put.shape != site.own.shape:
            shape = tuple(put.shape) if isinstance(put, Tensor) else type(put).__name__
            raise ValueError(
                f"the intervention gave {shape} for target layer {site.target_layer}: it must give a tensor "
                f"of the shape of site.own, {tuple(site.own.shape)} (rows, positions, hidden size)"
            )
        return put

    def __str__(self) -> str:
        name = self.change if isinstance(self.change, str) else getattr(self.change, "__name__", "a function")
        scale = f", outputs times {self.scale:g}" if self.scale != 1 else ""
        positions = f", the last {self.positions} tokens" if self.positions > 1 else ""
        return f"{name}{scale}{positions}"


REPLACE = Intervention()
