"""In charge of attention while prompts are read: keeps what their rows will look at."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface

from cctuning.analysis.transplant.attention import States, capped_causal_attention
from cctuning.analysis.transplant.interface import GoesPast
from cctuning.analysis.transplant.shared_prefix import Prefix


class Keeper:
    """Computes attention as transformers does, and keeps keys and values of the first tokens.

    `lengths` says of how many tokens, for each of Q prompts. Prompts come in groups with padding on the
    right, and are kept with padding on the left: there a window that slides is at the same distance for all.
    What is kept is what the attention function is given, so it does not matter what a model does between its
    cache and its attention.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = tuple(lengths)
        self._states: dict[nn.Module, States] = {}
        self._group: Sequence[int] = ()
        self._calls: list[nn.Module] = []

    def begin(self, group: Sequence[int]) -> None:
        """The next forward reads the prompts of these numbers."""
        self._group = group
        self._calls = []

    def prefix(self, layers: int) -> Prefix:
        """The kept states. Raises `GoesPast` unless each of so many layers computed attention once."""
        if not len(self._calls) == len(set(self._calls)) == len(self._states) == layers:
            raise GoesPast(f"{layers} layers called the attention function {len(self._calls)} times")
        return Prefix(self._states, self._lengths)

    def attend(
        self, module: nn.Module, query: Tensor, own: States, mask: Any, scaling: float, softcap: float | None
    ) -> Tensor:
        """See `interface.InCharge`; (b, H, T, d) -> (b, T, H, v)."""
        self._calls.append(module)
        before = self._states.get(module, (None, None))
        self._states[module] = States(*map(self._kept, before, own))
        if softcap is not None:
            return capped_causal_attention(query, *own, mask, scaling, softcap)
        output: Tensor = AttentionInterface()["sdpa"](module, query, *own, mask, scaling=scaling)[0]
        return output

    def mask(self, mask_function: Callable[..., Tensor], **given: Any) -> Tensor | None:
        """See `interface.InCharge`: the one of transformers' own attention."""
        made: Tensor | None = AttentionMaskInterface()["sdpa"](mask_function=mask_function, **given)
        return made

    def _kept(self, before: Tensor | None, state: Tensor) -> Tensor:
        """Keys or values (b, K, T, ·) of the group among those of all prompts, (Q, K, P, ·)."""
        width = max(self._lengths)
        if len(set(self._lengths)) == 1 and len(self._group) == len(self._lengths):
            return state[:, :, :width]  # all of them at once, in their order: nothing is copied
        kept = before
        if kept is None:
            kept = state.new_zeros(len(self._lengths), state.shape[1], width, state.shape[-1])
        for number, prompt_state in zip(self._group, state, strict=True):
            length = self._lengths[number]
            kept[number, :, width - length :] = prompt_state[:, :length]
        return kept
