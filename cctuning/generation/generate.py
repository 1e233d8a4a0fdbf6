"""Asking a model: prompts in, answers out, in one language or with the English parallels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cctuning.connection.connected import connection_of
from cctuning.data.batches import map_in_batches, pad
from cctuning.data.encoding import check_token
from cctuning.data.prompts import PromptFormat
from cctuning.generation.engine_model import MIXTURE, NOT_CONNECTED, EngineModel, Generated
from cctuning.generation.finite import finite_logits
from cctuning.generation.prefill import prefill
from cctuning.generation.rules import generating_by, greedy_rules


@dataclass(frozen=True)
class Answer:
    """A response, whether the connection took part in it, and the layer chosen, from 0 (None: a mixture).

    `connected` is None where a server does not say. `english`: the prompt as the model itself put it into
    English, where it did.
    """

    text: str
    connected: bool | None
    layer: int | None
    english: str | None = None


def answer(
    model: Any,
    prompts: PromptFormat,
    questions: Sequence[str],
    *,
    english: Sequence[str] | None = None,
    max_new_tokens: int = 64,
    batch_size: int = 16,
    **generation: Any,
) -> list[Answer]:
    """Greedy answers to `questions`, in their order.

    With `english`, one parallel prompt per question, inference is bilingual; without, it is monolingual
    where the model has a Transform Matrix, and unconnected where it has none. Questions of like length
    share a batch. `generation` goes to `model.generate` (say `do_sample=True`). Raises `ValueError` for a
    token without an embedding, and `NonFiniteError` for logits that are not finite.
    """
    ids = prompts.prompts_ids(questions)
    english_ids = None if english is None else prompts.prompts_ids(english)

    def answers(numbers: list[int]) -> list[Answer]:
        tokens, layers = generate_batch(
            model,
            prompts,
            [ids[number] for number in numbers],
            english_ids and [english_ids[number] for number in numbers],
            max_new_tokens=max_new_tokens,
            **generation,
        )
        rows = zip(tokens.tolist(), layers.tolist(), strict=True)
        return [answer_of(prompts, *row) for row in rows]

    lengths = [len(prompt) for prompt in ids]
    return map_in_batches(answers, range(len(ids)), lengths, batch_size=batch_size)


def answer_of(prompts: PromptFormat, tokens: Sequence[int], layer: int) -> Answer:
    """One row of `Generated` as text."""
    return Answer(prompts.response_text(tokens), layer != NOT_CONNECTED, layer if layer >= 0 else None)


def generate_batch(
    model: Any,
    prompts: PromptFormat,
    ids: Sequence[Sequence[int]],
    english_ids: Sequence[Sequence[int]] | None = None,
    *,
    max_new_tokens: int,
    **generation: Any,
) -> Generated:
    """Greedy responses to a batch of tokenised prompts; what the rest of the batch is does not matter.

    Of the model's own generation configuration its end tokens and penalties count (`rules`). `generation` and
    the errors are those of `answer`.
    """
    if isinstance(model, EngineModel):
        assert not generation, "an engine is asked greedily"
        return model.generate_batch(prompts, ids, english_ids, max_new_tokens=max_new_tokens)
    inputs = model_inputs(model, prompts, ids, english_ids)
    connected = connection_of(model)
    if connected is not None:
        connected.last_selection = None
    rules = greedy_rules(model, prompts, max_new_tokens=max_new_tokens)
    others: dict[str, Any] = rules.update(**generation)
    with generating_by(model, rules), finite_logits(model, prompts.tokenizer, ids), torch.no_grad():
        # Greedily: a beam has caches of its own.
        if not generation and (cache := prefill(model, ids)) is not None:
            others["past_key_values"] = cache
        tokens = model.generate(**inputs, generation_config=rules, **others)
    tokens = tokens[:, inputs["input_ids"].shape[1] :]
    return Generated(tokens, _chosen_layers(connected, len(ids)).to(tokens.device))


def model_inputs(
    model: Any,
    prompts: PromptFormat,
    ids: Sequence[Sequence[int]],
    english_ids: Sequence[Sequence[int]] | None,
) -> dict[str, Tensor]:
    """A batch of prompts, and of their English parallels, padded on the left, on the model's device.

    Raises `ValueError` for a token without an embedding.
    """
    inputs = dict(zip(("input_ids", "attention_mask"), pad(ids, left=True), strict=True))
    if english_ids is not None:
        names = ("english_input_ids", "english_attention_mask")
        inputs |= dict(zip(names, pad(english_ids, left=True), strict=True))
    largest = max(int(tensor.max()) for tensor in inputs.values())
    check_token(largest, len(model.get_input_embeddings().weight), prompts.tokenizer)
    return {name: tensor.to(model.device) for name, tensor in inputs.items()}


def _chosen_layers(connected: Any, rows: int) -> Tensor:
    """The layer of each row of a connected model's last generation (rows,); NOT_CONNECTED for a plain one."""
    selection = None if connected is None else connected.last_selection
    if selection is None:
        return torch.full((rows,), NOT_CONNECTED)
    weights = selection.weights[:: len(selection.weights) // rows]  # a row's beams follow one another
    return torch.where((weights == 1).any(-1), weights.argmax(-1), MIXTURE)
