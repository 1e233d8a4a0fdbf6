"""Memory, known beforehand: what a training step will take on each device."""

from cctuning.training.memory.devices import Device, device_at_hand
from cctuning.training.memory.estimate import MemoryEstimate, UnknownMemoryError, estimate_memory
from cctuning.training.memory.report import memory_report, memory_warning
from cctuning.training.memory.step import Step

__all__ = [
    "Device",
    "MemoryEstimate",
    "Step",
    "UnknownMemoryError",
    "device_at_hand",
    "estimate_memory",
    "memory_report",
    "memory_warning",
]
