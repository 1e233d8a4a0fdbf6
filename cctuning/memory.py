"""What a training step will take, estimated from the model's configuration before any weight is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_ADAM_BYTES = 8  # two float32 moments per trained weight


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one device that holds all of the model."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    connection: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.connection


def estimate_memory(
    config: Any,
    *,
    dtype: str,
    rows: int,
    tokens: int,
    trained_share: float = 1.0,
    bf16: bool = True,
    checkpointing: bool = True,
    english_tokens: int = 0,
    connected: bool = True,
) -> MemoryEstimate:
    """Estimates one process's training step for a model of `config`.

    Args:
        config: of the causal language model.
        dtype: of the weights: float32 | bfloat16.
        rows: per forward pass.
        tokens: of the longest row, prompt and response.
        trained_share: of the weights that have gradients; below 1 with LoRA.
        bf16: whether activations are bfloat16.
        checkpointing: whether layers keep only their input.
        english_tokens: of the longest English prompt.
        connected: whether the English pass runs.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = config.get_text_config()
    layers, hidden = text.num_hidden_layers, text.hidden_size
    intermediate = getattr(text, "intermediate_size", None) or 4 * hidden
    count = sum(weight.numel() for weight in model.parameters())
    trained = int(count * trained_share)
    element = 2 if bf16 or dtype == "bfloat16" else 4
    # Kept for the backward pass of one layer, per token: the inputs of its norms and projections, and the
    # feed-forward's three inner vectors.
    layer_bytes = rows * tokens * element * (8 * hidden + 4 * intermediate)
    kept = rows * tokens * element * hidden
    activations = layers * kept + layer_bytes if checkpointing else layers * layer_bytes
    # The English pass keeps nothing but one layer's working set and L outputs per row.
    english = (
        rows * english_tokens * element * (4 * hidden + 2 * intermediate) + rows * layers * hidden * element
    )
    return MemoryEstimate(
        weights=count * _BYTES[dtype],
        gradients=trained * (4 if trained_share < 1 else _BYTES[dtype]),
        optimizer=trained * _ADAM_BYTES,
        activations=activations,
        connection=english + hidden * layers * (_BYTES[dtype] + 4 + _ADAM_BYTES) if connected else 0,
    )
