"""Replaces a model's attention for the length of a `with` block, by transformers' own interfaces.

`AttentionInterface` and `AttentionMaskInterface` hold one function each under our name; both call the
object that is in charge at the moment. The model's own forward stays as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.utils import logging

from cctuning.analysis.transplant.attention import States

NAME = "cctuning_transplant"

# What models hand to their attention function besides queries, keys, values and the mask, and what an
# exact result does not need: the mask says what a window hides, dropout is off.
_KNOWN = {
    "cache_position",
    "dropout",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "position_ids",
    "sliding_window",
    "use_cache",
}


class GoesPast(Exception):
    """The model's attention does not go through the interface, or asks for what we do not compute."""


class InCharge(Protocol):
    """Who computes attention inside of the block."""

    def attend(
        self, module: nn.Module, query: Tensor, own: States, mask: Any, scaling: float, softcap: float | None
    ) -> Tensor:
        """The outputs (rows, n, heads, v) of the queries (rows, heads, n, d) to their `own` states."""

    def mask(self, mask_function: Callable[..., Tensor], **given: Any) -> Any:
        """The `mask` that `attend` gets in layers of this kind."""


_IN_CHARGE: ContextVar[InCharge | None] = ContextVar("cctuning_transplant", default=None)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **given: Any
) -> tuple[Tensor, None]:
    scaling, softcap = given.pop("scaling", None), given.pop("softcap", None)
    causal = given.pop("is_causal", None)
    unknown = [name for name, content in given.items() if name not in _KNOWN and content is not None]
    if unknown or causal is False:
        raise GoesPast(f"{type(module).__name__} computes attention with {', '.join(unknown) or 'no order'}")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    in_charge = _IN_CHARGE.get()
    assert in_charge is not None, f"{NAME} is set outside of its block"
    return in_charge.attend(module, query, States(key, value), attention_mask, scaling, softcap), None


def _mask(mask_function: Callable[..., Tensor], **given: Any) -> Any:
    in_charge = _IN_CHARGE.get()
    assert in_charge is not None, f"{NAME} is set outside of its block"
    return in_charge.mask(mask_function, **given)


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, _mask)


@contextmanager
def attention_by(model: PreTrainedModel, in_charge: InCharge) -> Iterator[None]:
    """Inside the block the model's decoder computes attention through `in_charge`.

    In a block within a block the decoder need not be set again, which takes as long as some of its layers.
    Raises `GoesPast` where the decoder has attention of its own that cannot be set.
    """
    decoder = model.get_decoder()
    before = decoder.config._attn_implementation
    token = _IN_CHARGE.set(in_charge)
    try:
        if before != NAME:
            _set_attention(decoder, NAME)
        if decoder.config._attn_implementation != NAME:
            raise GoesPast(f"{type(decoder).__name__} has attention of its own")
        yield
    finally:
        if decoder.config._attn_implementation != before:
            _set_attention(decoder, before)
        _IN_CHARGE.reset(token)


def _set_attention(decoder: PreTrainedModel, name: str) -> None:
    with errors_only():  # a warning where it cannot be set: we look for ourselves
        decoder.set_attn_implementation(name)


@contextmanager
def errors_only() -> Iterator[None]:
    """Inside the block transformers logs no warnings."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
