"""Linear layers as bitsandbytes packs them in four bits, without it: what memory depends on."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.quantizers.base import get_keys_to_not_convert
from transformers.quantizers.quantizers_utils import should_convert_module

_BLOCK, _OUTER_BLOCK = 64, 256  # weights with a scale of their own, and scales


class FourBitLinear(nn.Linear):
    """A linear layer whose weight is kept as two numbers a byte; it computes in `compute_dtype`.

    The scales of its blocks are float32, or with `double_quant` one byte each with a scale of their own.
    """

    def __init__(self, linear: nn.Linear, *, compute_dtype: torch.dtype, double_quant: bool) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False)
        count = linear.weight.numel()
        blocks = -(-count // _BLOCK)
        packed = torch.empty((count + 1) // 2, 1, dtype=torch.uint8)
        self.bias = linear.bias
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.stored_dtype, self.compute_dtype = linear.weight.dtype, compute_dtype
        scales = torch.empty(blocks, dtype=torch.uint8 if double_quant else torch.float32)
        self.register_buffer("scales", scales)
        if double_quant:
            self.register_buffer("scales_of_scales", torch.empty(-(-blocks // _OUTER_BLOCK)))

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out), in the input's dtype."""
        given = input.to(self.compute_dtype)
        output: Tensor = _Multiply.apply(given, self.weight, self)
        if self.bias is not None:
            output = output + self.bias.to(self.compute_dtype)
        return output.to(input.dtype).clone()  # PEFT's layer around it copies


class _Multiply(torch.autograd.Function):
    """The product with the weight, which is unpacked for a moment, and once more in the backward pass."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, packed: Tensor, layer: FourBitLinear) -> Tensor:
        ctx.layer = layer
        plain = given.new_empty(layer.out_features, layer.in_features)
        return nn.functional.linear(given, plain)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,), layer = gradients, ctx.layer
        plain = gradient.new_empty(layer.out_features, layer.in_features, dtype=layer.stored_dtype)
        return gradient @ plain.to(gradient.dtype), None, None


def pack_linears(model: Any, *, compute_dtype: torch.dtype, double_quant: bool) -> None:
    """Puts a `FourBitLinear` in place of each linear layer of `model` that transformers would quantise."""
    kept = [*get_keys_to_not_convert(model), *(model._keep_in_fp32_modules or ())]
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and should_convert_module(name, kept):
            packed = FourBitLinear(module, compute_dtype=compute_dtype, double_quant=double_quant)
            model.set_submodule(name, packed)
