"""This process among those of a launch: nothing that takes long is imported for it."""

import os
import sys

_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def process_number() -> int:
    """The rank of this process among those that were launched, from 0; known before they have met."""
    values = (os.environ.get(name, "") for name in _RANKS)
    return next((int(value) for value in values if value.isdecimal()), 0)


def leave_processes() -> None:
    """Parts from the other processes at a good end. After an error it could wait for them in vain."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
