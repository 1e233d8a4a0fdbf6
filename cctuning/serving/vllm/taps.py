"""Taps in the decoder layers: a record of sub-layer outputs, and a vector added to one layer's.

Letters: R requests at most in a step, T tokens of a step, d hidden size.

Both are tensor operations on buffers that never move, without any branch, so that a compiled model and a CUDA
graph run them as they are. Rows without a response start point to token 0: what is recorded there is not
looked at, and what is added there is zero.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Recorder(nn.Module):
    """A forward hook that copies its module's output at R tokens of each step."""

    index: Tensor
    record: Tensor

    def __init__(self, rows: int, hidden_size: int, *, with_residual: bool, **factory: Any) -> None:
        super().__init__()
        self.with_residual = with_residual
        self.register_buffer("index", torch.zeros(rows, dtype=torch.long, device=factory.get("device")))
        self.register_buffer("record", torch.zeros(rows, hidden_size, **factory))

    def forward(self, _module: nn.Module, _args: Any, output: Any) -> None:
        """Records `output` (T, d), or the sum of its two parts where the residual stream is one of them."""
        hidden = output[0] if isinstance(output, tuple) else output
        values = hidden.index_select(0, self.index)
        if self.with_residual:
            values = values + output[1].index_select(0, self.index)
        self.record.copy_(values)


class Adder(nn.Module):
    """A forward hook that adds a vector to its module's output at R tokens of each step."""

    index: Tensor
    addend: Tensor

    def __init__(self, rows: int, hidden_size: int, **factory: Any) -> None:
        super().__init__()
        self.register_buffer("index", torch.zeros(rows, dtype=torch.long, device=factory.get("device")))
        self.register_buffer("addend", torch.zeros(rows, hidden_size, **factory))

    def forward(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        """`output` (T, d), be it the first of two parts, with `addend` (R, d) at tokens `index` (R,)."""
        hidden = output[0] if isinstance(output, tuple) else output
        changed = hidden.index_add(0, self.index, self.addend)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed


class Taps:
    """All taps of a model with L layers; what is added goes to the output of `inject` in layer `target`."""

    def __init__(
        self,
        layers: nn.ModuleList,
        *,
        record: str,
        inject: str,
        target: int = 0,
        rows: int,
        hidden_size: int,
        splits_residual: bool = True,
        **factory: Any,
    ) -> None:
        self.recorders = []
        for layer in layers:
            recorder = Recorder(rows, hidden_size, with_residual=record == "" and splits_residual, **factory)
            _attach(layer, record, "cctuning_recorder", recorder)
            self.recorders.append(recorder)
        # After the recorder, which is to see a layer's own output.
        self.adder = Adder(rows, hidden_size, **factory)
        _attach(layers[target], inject, "cctuning_adder", self.adder)

    def record_at(self, tokens: Tensor) -> None:
        """The next forward records at `tokens` (B,), B at most R."""
        for recorder in self.recorders:
            recorder.index[: len(tokens)].copy_(tokens)

    def recorded(self, rows: int) -> Tensor:
        """What the last forward recorded at the first `rows` tokens: (B, L, d)."""
        return torch.stack([recorder.record[:rows] for recorder in self.recorders], dim=1)

    def add(self, addend: Tensor, tokens: Tensor) -> None:
        """The next forward adds `addend` (B, d) at `tokens` (B,)."""
        self.adder.index[: len(tokens)].copy_(tokens)
        self.adder.addend[: len(tokens)].copy_(addend)

    def rest(self) -> None:
        """Forwards from here on are plain, of however few tokens."""
        for recorder in self.recorders:
            recorder.index.zero_()
        self.adder.index.zero_()
        self.adder.addend.zero_()


def _attach(layer: nn.Module, path: str, name: str, tap: nn.Module) -> None:
    # A submodule of the layer, so that a compiler finds its buffers where it finds the layer's.
    layer.add_module(name, tap)
    layer.get_submodule(path).register_forward_hook(tap)
