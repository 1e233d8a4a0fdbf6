"""Keeps float64 models in float64, so that two correct implementations agree to 1e-10 and not to 1e-6.

transformers casts to float32 inside norms, softmaxes, rotary embeddings and the loss, whatever the model's dtype.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Float64(TorchFunctionMode):
    """Within `with Float64():` a float64 tensor that is asked to become float32 stays what it is."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if function is Tensor.float:
                return args[0]
            if function is Tensor.type and torch.float32 in args:
                return args[0]
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            if kwargs.get("dtype") is torch.float32:
                kwargs = kwargs | {"dtype": torch.float64}
        return function(*args, **kwargs)
