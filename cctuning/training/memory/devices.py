"""Memory of the device that a run would train on."""

from dataclasses import dataclass

import psutil
import torch

from cctuning.training.memory.estimate import MemoryEstimate

GIB = 2**30
# What comes on top of an estimate on a GPU: the CUDA context and its libraries.
CONTEXT = GIB
# Cards by the gigabytes in their name, and the bytes that they report.
CARDS = {"24 GB": 23.5, "40 GB": 39.4, "48 GB": 44.4, "80 GB": 79.1, "141 GB": 139.8}


@dataclass(frozen=True)
class Device:
    """A device by name, with the bytes that one process has of it, and whether it is at hand."""

    name: str
    memory: int
    gpu: bool
    here: bool = True

    def holds(self, estimate: MemoryEstimate) -> bool:
        """Whether the estimate fits, beside the CUDA context on a GPU."""
        return estimate.total + CONTEXT * self.gpu <= self.memory


def device_at_hand(*, use_cpu: bool, processes: int) -> Device | None:
    """The device of this process, or None where a GPU is wanted and there is none."""
    if use_cpu:
        return Device("this computer", psutil.virtual_memory().total // processes, gpu=False)
    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Device(properties.name, properties.total_memory, gpu=True)


def smallest_card(estimate: MemoryEstimate) -> Device | None:
    """The smallest of `CARDS` that holds the estimate."""
    cards = [card(name) for name in CARDS]
    return next((card for card in cards if card.holds(estimate)), None)


def card(name: str) -> Device:
    """One of `CARDS`."""
    return Device(f"a card of {name}", int(CARDS[name] * GIB), gpu=True, here=False)
