"""A Transform Matrix as a fit gives it, for all L layers or for each of them.

It is W_T (d, d), or (d + 1, d), whose last row is added to the product; one for each layer is (L, d, d), or
(L, d + 1, d). Of rank r it may be a tuple of two factors of these forms, (d, r) and (r, d), applied in turn.
"""

from typing import Any

import torch
from torch import Tensor

Transform = Tensor | tuple[Tensor, ...]


def factors_of(transform: Any) -> tuple[Tensor, ...]:
    """The one matrix of a transform, or its factors; arrays become tensors."""
    return tuple(map(torch.as_tensor, transform if isinstance(transform, tuple) else (transform,)))


def affine(outputs: Tensor, transform: Transform) -> Tensor:
    """F W_T of outputs F (..., d), with a matrix for each layer (..., L, d), plus the rows to be added."""
    for matrix in factors_of(transform):
        d = outputs.shape[-1]
        weight = matrix[..., :d, :]
        product = outputs @ weight if weight.dim() == 2 else torch.einsum("...ld,lde->...le", outputs, weight)
        outputs = product if matrix.shape[-2] == d else product + matrix[..., d, :]
    return outputs


def transform_of(model: Any) -> Transform | None:
    """That of a connected model, in float64 on the CPU; None where the model has none."""
    matrix = getattr(model, "transform_matrix", None)
    if matrix is None:
        return None
    *others, last = (factor.detach().double().cpu().mT for factor in matrix.factors)
    if matrix.bias is not None:
        last = torch.cat([last, matrix.bias.detach().double().cpu()[..., None, :]], dim=-2)
    return (*others, last)
