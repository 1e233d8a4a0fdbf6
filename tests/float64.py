"""Keeps float64 models in float64, so that two correct implementations agree to 1e-10 and not to 1e-6.

transformers casts to float32 inside norms, softmaxes, rotary embeddings and the loss, whatever the dtype.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

_CASTS = [
    (Tensor, "to"),
    (Tensor, "type"),
    (Tensor, "float"),
    (Tensor, "softmax"),
    (torch, "softmax"),
    (nn.functional, "softmax"),
]


@contextmanager
def float64() -> Iterator[None]:
    """Inside the block a float64 tensor that is asked to become float32 stays what it is.

    (A `TorchFunctionMode` would be shorter, and is off in the backward pass, where checkpointing recomputes.)
    """
    with ExitStack() as stack:
        for owner, name in _CASTS:
            stack.enter_context(mock.patch.object(owner, name, _keep_float64(getattr(owner, name))))
        yield


def _keep_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def kept(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if function.__name__ == "float" and tensor.dtype in (torch.float64, torch.int64):
            return tensor.double()  # positions, too: they are multiplied with float64 frequencies
        if isinstance(tensor, Tensor) and tensor.dtype == torch.float64:
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            kwargs = {
                key: torch.float64 if value is torch.float32 else value for key, value in kwargs.items()
            }
        return function(tensor, *args, **kwargs)

    return kept
