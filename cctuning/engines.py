"""Engines: on how many devices a model is trained, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass

ENGINES = {
    "one": "one device",
    "ddp": "DDP",
    "fsdp2": "FSDP2",
    "zero2": "DeepSpeed ZeRO-2",
    "zero3": "DeepSpeed ZeRO-3",
}


@dataclass(frozen=True)
class Engine:
    """How training is spread over processes, one per device.

    Raises `ValueError` for a name that is none of `ENGINES`.
    """

    name: str
    processes: int = 1
    offload: bool = False  # optimizer states, and with ZeRO-3 weights, in main memory

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ValueError(f"engine {self.name!r} is not one of {', '.join(ENGINES)}")

    def __str__(self) -> str:
        offload = " with offload" if self.offload else ""
        count = f" on {self.processes} processes" if self.processes > 1 else ""
        return f"{ENGINES[self.name]}{offload}{count}"

    @property
    def shards_optimizer(self) -> bool:
        """Whether each process holds its share of the optimizer's states only."""
        return self.name in ("fsdp2", "zero2", "zero3")

    @property
    def shards_gradients(self) -> bool:
        """Whether each process keeps its share of the gradients only."""
        return self.shards_optimizer

    @property
    def shards_weights(self) -> bool:
        """Whether each process holds its share of the weights only, and gathers a layer to run it."""
        return self.name in ("fsdp2", "zero3")
