"""Activation checkpointing, by the name that the installed transformers has for it.

Releases of transformers before 5.23 know it as gradient checkpointing; newer ones warn of that name.
"""

from typing import Any

from transformers import PreTrainedModel

_NAME = (
    "activation_checkpointing"
    if hasattr(PreTrainedModel, "activation_checkpointing_enable")
    else "gradient_checkpointing"
)


def checkpointing_arguments(enabled: bool, *, reentrant: bool = False) -> dict[str, Any]:
    """The two arguments of `TrainingArguments` that switch it on or off."""
    return {_NAME: enabled, f"{_NAME}_kwargs": {"use_reentrant": reentrant}}


def enable_checkpointing(model: Any, *, reentrant: bool = False) -> None:
    """Switches it on in a model, or in the one that PEFT has wrapped."""
    getattr(model, f"{_NAME}_enable")({"use_reentrant": reentrant})
