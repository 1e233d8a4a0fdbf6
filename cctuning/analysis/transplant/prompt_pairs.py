"""Input and result of a sweep."""

from dataclasses import dataclass

from torch import Tensor

Swap = tuple[int, int]
"""(source layer, target layer), from 0: the source's output takes the place of the target's, or what an
intervention makes of both."""

Cell = tuple[Swap, ...]
"""Swaps that are made all at once; () is the model as it is."""

SUBLAYERS = ("ffn", "attention", "attention_residual", "block")


@dataclass(frozen=True)
class PromptPair:
    """A prompt in two languages: activations move from the source's last token to the target's.

    Ids are whole numbers in 1-D tensors, without padding. `option_ids` are the tokens of each option, to be
    scored without decoding.
    """

    source_ids: Tensor  # (P_S,)
    target_ids: Tensor  # (P_T,)
    option_ids: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Sweep:
    """One question under C cells. L layers of width d; all on the CPU.

    Log-probabilities are natural logarithms under the model with the cell's swaps, of its raw logits: before
    the processors of its generation configuration, which take part in choosing the tokens.
    """

    tokens: Tensor  # (C, new) int64, padded after the end token
    new_tokens: Tensor  # (C,) int64, the end token counts
    log_probabilities: Tensor  # (C,) float64: the sum over an answer's tokens, its end token's included
    option_log_probabilities: Tensor  # (C, options) float64: the sum over an option's tokens
    # The sub-layers' outputs (L, d) at the source prompt's last token; (L, k, d) of more than one position.
    source_activations: Tensor
    target_activations: Tensor  # the same of the target prompt, as it is
    token_forwards: int  # what the layers read for this question, padding included: in tokens through all
