"""Memory, known beforehand: what a training step will take on each device."""

from cctuning.memory.estimate import MemoryEstimate, estimate_memory
from cctuning.memory.step import Step

__all__ = ["MemoryEstimate", "Step", "estimate_memory"]
