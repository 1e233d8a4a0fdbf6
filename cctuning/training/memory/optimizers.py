"""Memory of optimizers for every weight that they train, kept and while they step."""

from collections.abc import Sequence
from math import prod

from torch import Tensor

# Tensors of the weight's own shape and dtype.
_OF_ITS_DTYPE = {
    "adamw_torch": 2,
    "adamw_torch_fused": 2,
    "adamw_torch_xla": 2,
    "adamw_torch_npu_fused": 2,
    "schedule_free_adamw": 2,
    "schedule_free_radam": 2,
    "schedule_free_sgd": 1,
    "stable_adamw": 2,
    "adagrad": 1,
    "rmsprop": 1,
    "sgd": 0,
}
# Bytes per weight, whatever its dtype: bitsandbytes and torchao.
_BYTES = {
    "adamw_bnb_8bit": 2,
    "adamw_8bit": 2,
    "paged_adamw_8bit": 2,
    "paged_adamw_32bit": 8,
    "ademamix": 12,
    "ademamix_8bit": 3,
    "paged_ademamix_32bit": 12,
    "paged_ademamix_8bit": 3,
    "lion_32bit": 4,
    "lion_8bit": 1,
    "paged_lion_32bit": 4,
    "paged_lion_8bit": 1,
    "rmsprop_bnb": 4,
    "rmsprop_bnb_8bit": 1,
    "rmsprop_bnb_32bit": 4,
    "adamw_torch_8bit": 2,
    "adamw_torch_4bit": 1,
}


def is_known(optim: str) -> bool:
    """Whether it is known what `optim` keeps; the others are taken for Adam in float32."""
    return optim == "adafactor" or optim in _OF_ITS_DTYPE or optim in _BYTES


def state_bytes(optim: str, weights: Sequence[Tensor]) -> int:
    """Bytes of the states of the optimizer named `optim` for these trained weights."""
    if optim == "adafactor":  # a row and a column of each matrix, in float32
        return sum(4 * _factored(weight) for weight in weights)
    if optim in _OF_ITS_DTYPE:
        return _OF_ITS_DTYPE[optim] * sum(weight.nbytes for weight in weights)
    return _BYTES.get(optim, 8) * sum(weight.numel() for weight in weights)


def _factored(weight: Tensor) -> int:
    shape = tuple(weight.shape)
    return prod(shape[:-1]) + prod(shape[:-2]) * shape[-1] if len(shape) > 1 else weight.numel()


def working_bytes(optim: str, weights: Sequence[Tensor], *, gpu: bool) -> int:
    """Bytes that a step of the optimizer takes for a moment.

    On a GPU torch's AdamW works on all weights at once, and the roots of all second moments are one more copy
    of them; elsewhere one weight is worked on after the other.
    """
    if gpu and optim == "adamw_torch":
        return sum(weight.nbytes for weight in weights)
    largest = max((weight.numel() * max(weight.itemsize, 4) for weight in weights), default=0)
    if optim == "adafactor":
        return 4 * largest
    return 2 * largest if is_known(optim) and optim not in _BYTES and "fused" not in optim else 0
