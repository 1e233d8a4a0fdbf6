"""Predictions from any layer of a model: its own final norm and LM head on that layer's output."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from cctuning.connection.sublayers import final_norm


@torch.no_grad()
def lens_logits(model: Any, layers: Sequence[Tensor], logits: Tensor) -> Iterator[Tensor]:
    """Each layer's output (n, d) as logits (n, vocabulary), from the first layer to the last.

    All that stands between the last layer and the logits is the model's own: its final norm, and then its
    forward with the decoder passed over, so that scaled (Cohere, Granite) and soft-capped (Gemma 2) logits
    are what they are there. `logits` (n, vocabulary) are those that the model itself gave for these outputs:
    the last layer's must be the same. Raises `ValueError` where they are not, so a model with more behind
    its layers is refused and not misread.
    """
    norm = final_norm(model)
    read = logits
    ids = torch.zeros(1, len(logits), dtype=torch.long, device=model.device)  # their values have no effect
    shape = model.get_decoder()(input_ids=ids[:, :1], use_cache=False)  # what a decoder's result is here
    for output in layers:
        result = type(shape)(**{**shape, "last_hidden_state": norm(output.unsqueeze(0))})
        with _decoder_giving(model, result):
            read = model(input_ids=ids, use_cache=False).logits[0]
        yield read
    _check_last(model, read, logits)


@contextmanager
def _decoder_giving(model: Any, result: Any) -> Iterator[None]:
    """Inside, the decoder gives `result` whatever it is asked."""
    decoder = model.get_decoder()
    before = vars(decoder).get("forward")  # a connected model's decoder has one of its own
    decoder.forward = lambda *args, **kwargs: result
    try:
        yield
    finally:
        if before is None:
            del decoder.forward
        else:
            decoder.forward = before


def _check_last(model: Any, read: Tensor, logits: Tensor) -> None:
    """Raises `ValueError` where the last layer's logits are not the model's, up to rounding."""
    scale = float(logits.abs().max())
    error = float((read - logits).abs().max())
    eps = torch.finfo(logits.dtype).eps
    # Sums of products are rounded as often as they are long; half precisions are summed in a better one.
    if not error <= (4 if eps > 1e-4 else 64) * eps * scale:
        name = type(model).__name__
        raise ValueError(
            f"{name}: final norm and LM head on the last layer's output are {error:.3g} off the model's own "
            f"logits (up to {scale:.3g}), so there is more behind its layers, and a logit lens would be wrong"
        )
