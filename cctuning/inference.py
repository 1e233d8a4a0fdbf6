"""Asking a model: prompts in, answers out, in one language or with the English parallels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cctuning.examples import check_token
from cctuning.prompts import PromptFormat


@dataclass(frozen=True)
class Answer:
    """A response, whether the connection took part in it, and the layer chosen, from 0 (None: a mixture)."""

    text: str
    connected: bool
    layer: int | None


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
    token without an embedding.
    """
    ids = prompts.prompts_ids(questions)
    english_ids = None if english is None else prompts.prompts_ids(english)
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    answers: dict[int, Answer] = {}
    options = {
        "do_sample": False,
        "max_new_tokens": max_new_tokens,
        "pad_token_id": prompts.pad_token_id,
    } | generation
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        input_ids, mask = pad_left([ids[number] for number in numbers], prompts.pad_token_id)
        inputs = {"input_ids": input_ids, "attention_mask": mask}
        if english_ids is not None:
            parallel = pad_left([english_ids[number] for number in numbers], prompts.pad_token_id)
            inputs |= dict(zip(("english_input_ids", "english_attention_mask"), parallel, strict=True))
        largest = max(int(ids.max()) for ids in inputs.values())
        check_token(largest, len(model.get_input_embeddings().weight), prompts.tokenizer)
        if hasattr(model, "last_selection"):
            model.last_selection = None
        on_device = {name: tensor.to(model.device) for name, tensor in inputs.items()}
        with torch.no_grad():
            tokens = model.generate(**on_device, **options)[:, input_ids.shape[1] :].tolist()
        layers = _chosen_layers(model, len(numbers))
        for place, (number, row) in enumerate(zip(numbers, tokens, strict=True)):
            layer = layers[place] if layers else None
            answers[number] = Answer(prompts.response_text(row), bool(layers), layer)
    return [answers[number] for number in range(len(ids))]


def _chosen_layers(model: Any, rows: int) -> list[int | None]:
    """The layer of each row of the last generation; empty where it was not connected."""
    selection = getattr(model, "last_selection", None)
    if selection is None:
        return []
    weights = selection.weights[:: len(selection.weights) // rows]  # a row's beams follow one another
    return [int(row.argmax()) if (row == 1).any() else None for row in weights]


def pad_left(sequences: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Sequences as one (n, length) tensor padded on the left, and its mask (1: a token)."""
    length = max(map(len, sequences))
    rows = [[*[pad_token_id] * (length - len(sequence)), *sequence] for sequence in sequences]
    mask = [[0] * (length - len(sequence)) + [1] * len(sequence) for sequence in sequences]
    return torch.tensor(rows), torch.tensor(mask)
