"""The logit lens of one question, with and without a transplant: what every layer would say next."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from cctuning.analysis.lens.head import lens_logits
from cctuning.analysis.lens.token_text import token_text
from cctuning.analysis.transplant import Cell, PromptPair, Swap, sweep
from cctuning.analysis.transplant.interventions import REPLACE, Change, Intervention
from cctuning.analysis.transplant.plain import plain
from cctuning.analysis.transplant.sublayer_outputs import PromptOutputs, intervened, layers_of
from cctuning.connection.modeling_cctuning import record_outputs

TOP = 5  # tokens kept of each layer and place


@dataclass(frozen=True)
class Guess:
    """A token, and the probability that final norm and LM head give it."""

    token: int
    text: str  # as `token_text` shows it
    probability: float


@dataclass(frozen=True)
class LensPanel:
    """A model's predictions at n places: the last token of the prompt, and its answer but for the last token.

    A place is a token that is read; what is written there is the token that follows.
    """

    read: tuple[str, ...]  # n tokens, as text
    written: tuple[str, ...]  # n tokens, as text: the answer
    answer: str  # the same as one text
    guesses: tuple[tuple[tuple[Guess, ...], ...], ...]  # L layers, n places, the `TOP` likeliest in order


@dataclass(frozen=True)
class Lens:
    """The model as it is beside the model with a transplant."""

    swaps: Cell  # (source layer, target layer), from 0
    sublayer: str
    source_prompt: str
    target_prompt: str
    plain: LensPanel
    transplanted: LensPanel

    def as_json(self) -> dict[str, Any]:
        """All numbers, as JSON holds them."""
        return asdict(self)


def logit_lens(
    model: Any,
    tokenizer: Any,
    source_ids: Tensor,
    target_ids: Tensor,
    swaps: Sequence[Swap],
    *,
    sublayer: str = "ffn",
    new_tokens: int = 5,
    intervention: str | Change | Intervention = REPLACE,
) -> Lens:
    """Reads every layer of `model` on the prompt `target_ids` (P_T,), with and without a transplant.

    The transplant puts the `sublayer` outputs of `swaps`' source layers, from the last token of the prompt
    `source_ids` (P_S,), in place of the target layers' at that of `target_ids`, or does another
    `intervention`. `new_tokens`: tokens of the answer at most; an answer that ends earlier has fewer places.
    Raises `ValueError` for an architecture that cannot be read (see `lens_logits`), and where `sweep` does.
    """
    cell, intervention = tuple(swaps), Intervention.of(intervention)
    question = PromptPair(source_ids, target_ids)
    (swept,) = sweep(
        model, [question], [(), cell], sublayer=sublayer, max_new_tokens=new_tokens, intervention=intervention
    )
    prompt_outputs = PromptOutputs(
        *(
            outputs.reshape(1, len(outputs), intervention.positions, -1)
            for outputs in (swept.source_activations, swept.target_activations)
        )
    )
    answers = [tokens[:count] for tokens, count in zip(swept.tokens.tolist(), swept.new_tokens, strict=True)]
    readings = []
    with plain(model) as causal:
        for moved, answer in zip(((), cell), answers, strict=True):
            transplant = intervened(causal, sublayer, [[moved]], prompt_outputs, intervention)
            readings.append(_read(causal, tokenizer, target_ids.tolist(), answer, transplant))
    source, target = (
        str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in (source_ids, target_ids)
    )
    return Lens(cell, sublayer, source, target, *readings)


@torch.no_grad()
def _read(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[int],
    answer: Sequence[int],
    transplant: AbstractContextManager[None],
) -> LensPanel:
    """Every layer's guesses while `model` reads the prompt, with the transplant, and then its answer."""
    with transplant:
        outputs, logits, cache = _forward(model, prompt, [len(prompt) - 1], None)
    if len(answer) > 1:
        more, own_logits, _ = _forward(model, answer[:-1], range(len(answer) - 1), cache)
        outputs = [torch.cat(both) for both in zip(outputs, more, strict=True)]
        logits = torch.cat([logits, own_logits])
    guesses = [
        _guesses(tokenizer, layer.double().softmax(-1)) for layer in lens_logits(model, outputs, logits)
    ]
    text = [token_text(tokenizer, token) for token in [prompt[-1], *answer]]
    response = tokenizer.decode(answer, skip_special_tokens=True)
    return LensPanel(tuple(text[:-1]), tuple(text[1:]), str(response), tuple(guesses))


def _forward(
    model: Any, ids: Sequence[int], places: Sequence[int], cache: Any
) -> tuple[list[Tensor], Tensor, Any]:
    """Every layer's output (n, d) at n places of these tokens, the model's logits there, and the cache."""
    # There is one row, and an index for each place in it.
    with record_outputs(layers_of(model), torch.tensor(places, device=model.device)) as outputs:
        inputs = torch.tensor([ids], device=model.device)
        result = model(input_ids=inputs, past_key_values=cache, use_cache=True)
    return outputs, result.logits[0, places], result.past_key_values


def _guesses(tokenizer: Any, probabilities: Tensor) -> tuple[tuple[Guess, ...], ...]:
    """The likeliest tokens of each place, from probabilities (n, vocabulary)."""
    values, tokens = probabilities.topk(min(TOP, probabilities.shape[-1]))
    return tuple(
        tuple(
            Guess(token, token_text(tokenizer, token), probability)
            for token, probability in zip(*place, strict=True)
        )
        for place in zip(tokens.tolist(), values.tolist(), strict=True)
    )
