"""A model as the sweep needs it: not training, not connected, without an adapter's wrapper."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel


@contextmanager
def plain(model: Any) -> Iterator[PreTrainedModel]:
    """The causal language model in `model`, in eval mode, without gradients, its connection switched off.

    What was changed is as before when the block ends. An adapter of PEFT stays in place, except one that is
    put before the prompt: `ValueError`.
    """
    if isinstance(model, PeftModel):
        if model.active_peft_config.is_prompt_learning:
            raise ValueError(
                f"an adapter of type {model.active_peft_config.peft_type} stands before the prompt, where "
                "the sweep knows of none: sweep the model without it"
            )
        model = model.get_base_model()
    if not isinstance(model, PreTrainedModel) or model.get_decoder() is None:
        raise ValueError(f"{type(model).__name__} is no causal language model of transformers")
    training = [module for module in model.modules() if module.training]
    connected = getattr(model, "connected", None)
    try:
        model.eval()
        if connected is not None:
            model.connected = False  # type: ignore[assignment]
        with torch.no_grad():
            yield model
    finally:
        for module in training:
            module.training = True
        if connected is not None:
            model.connected = connected
