"""Log-likelihoods of the options of a choice: what a model prefers, whatever it would write."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.questions import Question
from cctuning.generation.engine_model import EngineModel
from cctuning.generation.finite import NonFiniteError, finite_logits
from cctuning.generation.generate import model_inputs


def option_log_likelihoods(model: Any, prompts: PromptFormat, questions: Sequence[Question]) -> Tensor:
    """The log p(option | prompt) in nats, (b, n): n the most options of one, NaN where one has fewer.

    The prompts are read once, and all options of a question continue the same cache. The connection takes
    part as in `generate`: at the prompt's last token, from the parallel prompt where the questions have one.

    Raises `NonFiniteError` for logits that are not finite.
    """
    prompt_ids = [question.prompt.ids for question in questions]
    if isinstance(model, EngineModel):
        parallel = [question.parallel.ids for question in questions if question.parallel]
        options = [question.option_ids for question in questions]
        scores = model.log_likelihoods(prompt_ids, parallel or None, options)
    else:
        with finite_logits(model, prompts.tokenizer, prompt_ids), torch.no_grad():
            scores = _log_likelihoods(model, prompts, questions)
    for row, question in zip(scores, questions, strict=True):
        if not row[: len(question.option_ids)].isfinite().all():
            raise NonFiniteError(model, question.prompt.text, "log-likelihoods of options")
    return scores


def _log_likelihoods(model: Any, prompts: PromptFormat, questions: Sequence[Question]) -> Tensor:
    parallel = [question.parallel.ids for question in questions if question.parallel]
    inputs = model_inputs(model, prompts, [question.prompt.ids for question in questions], parallel or None)
    mask = inputs["attention_mask"]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    last = mask.shape[1] - 1
    first = _forward(model, inputs, positions, cache, connection_index=last, logits_to_keep=1)[:, -1]

    options = _padded([question.option_ids for question in questions]).to(mask.device)  # (b, n, t), -1: none
    rows, count, length = options.shape
    is_token = options >= 0
    tokens = options.clamp(min=0)
    scores = first.log_softmax(-1).gather(-1, tokens[:, :, 0])
    if length > 1:
        cache.batch_repeat_interleave(count)
        spread = mask.repeat_interleave(count, 0)
        # The last token of an option is only predicted, never read.
        reading = tokens.flatten(0, 1)[:, :-1]
        steps = torch.arange(1, length, device=mask.device)
        logits = _forward(
            model,
            {
                "input_ids": reading,
                "attention_mask": torch.cat([spread, is_token.flatten(0, 1)[:, :-1].long()], dim=-1),
            },
            positions[:, -1:].repeat_interleave(count, 0) + steps,
            cache,
            connection_index=-1,  # it lies behind
        )
        rest = logits.log_softmax(-1).gather(-1, tokens.flatten(0, 1)[:, 1:, None])[..., 0]
        scores = scores + (rest.view(rows, count, -1) * is_token[:, :, 1:]).sum(-1)
    return scores.masked_fill(~is_token.any(-1), torch.nan)


def _forward(
    model: Any, inputs: dict[str, Tensor], positions: Tensor, cache: DynamicCache, **given: Any
) -> Tensor:
    """The logits of a forward into `cache`, at least in float32."""
    accepted = inspect.signature(model.forward).parameters
    given |= {"position_ids": positions}  # not every architecture has them
    known = {name: value for name, value in given.items() if name in accepted}
    logits = model(**inputs, past_key_values=cache, use_cache=True, **known).logits
    return logits if logits.dtype == torch.float64 else logits.float()


def _padded(options: Sequence[Sequence[Sequence[int]]]) -> Tensor:
    """(b, n, t) token ids, -1 where a question has fewer options, or an option fewer tokens."""
    count = max(len(of_question) for of_question in options)
    length = max(len(option) for of_question in options for option in of_question)
    table = torch.full((len(options), count, length), -1)
    for row, of_question in enumerate(options):
        for column, option in enumerate(of_question):
            table[row, column, : len(option)] = torch.tensor(option)
    return table
