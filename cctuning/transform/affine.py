"""A Transform Matrix as a fit gives it: W_T (d, d), or (d + 1, d), whose last row is added to the product."""

from typing import Any

import torch
from torch import Tensor


def affine(outputs: Tensor, transform: Tensor) -> Tensor:
    """F W_T of outputs F (..., d), plus the last row of a `transform` that has d + 1."""
    d = outputs.shape[-1]
    product = outputs @ transform[:d]
    return product if len(transform) == d else product + transform[d]


def transform_of(model: Any) -> Tensor | None:
    """That of a connected model, in float64 on the CPU; None where the model has none."""
    matrix = getattr(model, "transform_matrix", None)
    if matrix is None:
        return None
    weight = matrix.weight.detach().double().cpu().T
    return weight if matrix.bias is None else torch.vstack([weight, matrix.bias.detach().double().cpu()])
