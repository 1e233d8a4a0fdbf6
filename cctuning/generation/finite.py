"""Logits that are no numbers: an answer out of them would be scored like any other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

_SHOWN = 60  # characters of a prompt
# What may help a model of a narrow dtype.
_OTHER_DTYPES = {"float16": "set dtype=float32 or dtype=bfloat16, or ", "bfloat16": "set dtype=float32, or "}


class NonFiniteError(ValueError):
    """A model's outputs are NaN or infinite; the message names the model, its dtype and the prompt."""

    def __init__(self, model: Any, prompt: str, what: str = "logits") -> None:
        dtype = str(model.dtype).removeprefix("torch.")
        name = getattr(model.config, "_name_or_path", "") or type(model).__name__
        start = prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}..."
        super().__init__(
            f"{name} in {dtype} gives {what} that are not finite, for the prompt {start!r}: "
            f"{_OTHER_DTYPES.get(dtype, '')}look for damaged weights"
        )


@contextmanager
def finite_logits(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]]) -> Iterator[None]:
    """A block in which a forward of `model` raises `NonFiniteError` where a row's last logits are not finite.

    `prompts`: the token ids of its rows; a row may be there several times, one copy after the other.
    """

    def check(_module: Any, _args: Any, output: Any) -> None:
        logits: Tensor = output.logits
        finite = logits[:, -1].isfinite().all(-1)
        if not finite.all():
            row = int(finite.long().argmin()) // max(1, len(finite) // len(prompts))
            raise NonFiniteError(model, tokenizer.decode(prompts[row]))

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    handle = base.register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
