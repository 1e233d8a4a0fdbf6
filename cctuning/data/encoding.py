"""Training rows -> examples: token ids, labels and lengths, with every row that does not fit reported."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from cctuning.data.fields import UNKNOWN_LANGUAGE, is_english
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import BadRowsError, Problem, Row

IGNORED = -100  # the label of a token without loss
_OTHERWISE = (
    "the chat template writes an earlier response in other tokens than it is generated in, so it cannot be "
    "trained there: set mask_history=true, or connection.turns=all, which makes a row of each response"
)


@dataclass(frozen=True)
class Example:
    """One tokenised row.

    `input_ids` are prompt, response and stop token, or the prompt alone where there is no response; `labels`
    are the same with `IGNORED` over the prompt, except in `earlier`: the places, as (start, stop), of earlier
    responses in the prompt that are trained too. The response start is token `prompt_length - 1`.
    `english_input_ids` are empty for a row without an English parallel. `truncated` counts the response
    tokens that the cut-off removed.
    """

    row: Row
    input_ids: list[int]
    prompt_length: int
    english_input_ids: list[int]
    truncated: int
    earlier: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.row.file} row {self.row.number} (id {self.row.id})"

    @property
    def has_response(self) -> bool:
        """Whether tokens of a response, with labels, follow the prompt."""
        return self.prompt_length < len(self.input_ids)

    @property
    def has_two_prompts(self) -> bool:
        """Whether it has an English prompt that is not the prompt itself."""
        return self.english_input_ids not in ([], self.input_ids[: self.prompt_length])

    @property
    def labels(self) -> list[int]:
        """As long as `input_ids`."""
        labels = [IGNORED] * self.prompt_length + self.input_ids[self.prompt_length :]
        for start, stop in self.earlier:
            labels[start:stop] = self.input_ids[start:stop]
        return labels

    @property
    def label_count(self) -> int:
        """The tokens with a label."""
        return len(self.input_ids) - self.prompt_length + sum(stop - start for start, stop in self.earlier)


def encode(
    rows: Sequence[Row],
    prompts: PromptFormat,
    *,
    cutoff_len: int,
    english_cutoff_len: int,
    mask_history: bool = True,
) -> tuple[list[Example], list[Problem]]:
    """Tokenises rows; those that cannot be trained on as they are become problems instead.

    That is a row whose response start or English prompt would be cut off, one with the text of a special
    token in it: the tokenizer would read the token itself, so a text could end its turn and begin another;
    and a conversation that the template cannot write.

    `cutoff_len` bounds prompt plus response in tokens: a longer response is cut. `english_cutoff_len` bounds
    the English prompt, which is never cut. Both in tokens. Without `mask_history` earlier responses of a
    conversation carry a loss too.
    """
    examples: list[Example] = []
    unwritable = {place: problem for place, row in enumerate(rows) if (problem := _unwritable(row, prompts))}
    problems = list(unwritable.values())
    rows = [row for place, row in enumerate(rows) if place not in unwritable]
    prompt_ids = prompts.prompts_ids([row.instruction for row in rows], [row.history for row in rows])
    texts, histories = [row.instruction_en for row in rows], [row.history_en for row in rows]
    english_ids = [
        ids if row.instruction_en else []  # without an English parallel there is no English prompt
        for row, ids in zip(rows, prompts.prompts_ids(texts, histories), strict=True)
    ]
    response_ids = [
        ids if row.output else []  # without a response there is no stop token either
        for row, ids in zip(rows, prompts.responses_ids([row.output for row in rows]), strict=True)
    ]
    for row, prompt, english, response in zip(rows, prompt_ids, english_ids, response_ids, strict=True):
        if controlling := _control_tokens(row, prompts):
            problems += controlling
        elif prompts.stop_token_id in response[:-1]:
            stop = prompts.tokenizer.convert_ids_to_tokens(prompts.stop_token_id)
            problems.append(row.problem("output", f"holds {stop!r}, at which a response ends: take it out"))
        elif len(prompt) >= cutoff_len:
            message = f"the prompt has {len(prompt)} tokens, and cutoff_len={cutoff_len} leaves no response"
            problems.append(row.problem("instruction", f"{message}; raise cutoff_len"))
        elif len(english) > english_cutoff_len:
            message = (
                f"the English prompt has {len(english)} tokens, over english_cutoff_len={english_cutoff_len}"
            )
            problems.append(row.problem("instruction_en", f"{message}; raise english_cutoff_len"))
        elif (earlier := () if mask_history else _earlier_responses(row, prompt, prompts)) is None:
            problems.append(row.problem("history", _OTHERWISE))
        else:
            whole = prompt + response
            cut = whole[:cutoff_len]
            examples.append(Example(row, cut, len(prompt), english, len(whole) - len(cut), earlier))
    return examples, problems


def _unwritable(row: Row, prompts: PromptFormat) -> Problem | None:
    """The problem where the template cannot write a row's conversation; single prompts it was tried on."""
    try:
        if row.history:
            prompts.prompt_text(row.instruction, row.history)
        if row.history_en:
            prompts.prompt_text(row.instruction_en, row.history_en)
    except ValueError as error:
        return row.problem("history", str(error))
    return None


def _earlier_responses(
    row: Row, prompt: Sequence[int], prompts: PromptFormat
) -> tuple[tuple[int, int], ...] | None:
    """The places of a conversation's earlier responses in its prompt, stop tokens included.

    None where one does not stand there in the tokens that it is generated in.
    """
    places = []
    for number, message in enumerate(row.history):
        if message.role == "assistant":
            *before, question = row.history[:number]
            ids = prompts.prompt_ids(question.content, before) + prompts.response_ids(message.content)
            if list(prompt[: len(ids)]) != ids:
                return None
            places.append((len(ids) - len(prompts.response_ids(message.content)), len(ids)))
    return tuple(places)


def _control_tokens(row: Row, prompts: PromptFormat) -> list[Problem]:
    texts = [(field, getattr(row, field)) for field in ("instruction", "instruction_en", "output")]
    texts += [
        (field, message.content) for field in ("history", "history_en") for message in getattr(row, field)
    ]
    return [
        row.problem(
            field,
            f"holds {token!r}, which the tokenizer takes for a special token and not for text: take it out",
        )
        for field, text in texts
        if (token := prompts.control_token(text))
    ]


def check_vocabulary(
    examples: Sequence[Example], tokenizer: Any, *, pad_token_id: int, vocab_size: int
) -> None:
    """Raises `ValueError` for a token, padding too, without an embedding among the model's `vocab_size`."""
    used = (max(*example.input_ids, *example.english_input_ids) for example in examples)
    token = max(pad_token_id, *used)
    check_token(token, vocab_size, tokenizer)


def check_token(token: int, vocab_size: int, tokenizer: Any) -> None:
    """Raises `ValueError` for a token without an embedding among the model's `vocab_size`."""
    if token >= vocab_size:
        name = tokenizer.convert_ids_to_tokens(token)
        raise ValueError(
            f"the tokenizer writes token {token} ({name}), and the model has embeddings for {vocab_size} "
            "tokens: give the model its own tokenizer, or resize its embeddings"
        )


def untranslated(examples: Sequence[Example]) -> dict[str, int]:
    """For each language but English, how many rows have an English prompt that is the prompt itself."""
    counts = Counter(
        example.row.language
        for example in examples
        if example.row.instruction == example.row.instruction_en and not is_english(example.row.language)
    )
    counts.pop(UNKNOWN_LANGUAGE, None)
    return dict(sorted(counts.items()))


def without_response(examples: Sequence[Example]) -> dict[str, int]:
    """For each language that has some, how many rows have no response."""
    counts = Counter(example.row.language for example in examples if not example.has_response)
    return dict(sorted(counts.items()))


def training_set(examples: Sequence[Example], languages: Sequence[str]) -> Dataset:
    """The examples as a `datasets.Dataset` for the trainer, `training_row` by `training_row`."""
    places = {language: place for place, language in enumerate(languages)}
    return Dataset.from_list(
        [
            training_row(example, number, places[example.row.language])
            for number, example in enumerate(examples)
        ]
    )


def training_row(example: Example, number: int, language: int) -> dict[str, Any]:
    """An example as the collator takes it: its number in the training, and the number of its language.

    `aligned`: whether it counts for an alignment.
    """
    return {
        "input_ids": example.input_ids,
        "labels": example.labels,
        "prompt_length": example.prompt_length,
        "english_input_ids": example.english_input_ids,
        "language": language,
        "example": number,
        "aligned": example.has_two_prompts,
        "length": len(example.input_ids),
    }


def languages_of(examples: Sequence[Example]) -> list[str]:
    """The languages of the examples, sorted."""
    return sorted({example.row.language for example in examples})


def check_labels(examples: Sequence[Example], *, response: bool = True) -> None:
    """Raises `BadRowsError` for examples without a prompt or a response token: they would train nothing.

    `response`: whether one is needed; otherwise two prompts are enough.
    """
    problems = []
    for example in examples:
        trains = example.has_response or (not response and example.has_two_prompts)
        if not (0 < example.prompt_length <= len(example.input_ids) and trains):
            tokens = f"{example.prompt_length} of the row's {len(example.input_ids)} tokens are the prompt"
            message = f"{tokens}, so there is no response start with a label after it"
            problems.append(example.row.problem("output", message))
    if problems:
        raise BadRowsError(problems)


def fingerprint(examples: Sequence[Example]) -> dict[str, Any]:
    """The number of rows, and a digest of their tokens in their order."""
    digest = hashlib.sha256()
    for example in examples:
        earlier = [place for places in example.earlier for place in places]
        parts = [example.input_ids, [example.prompt_length], example.english_input_ids]
        for ids in [*parts, earlier] if earlier else parts:
            digest.update(np.array([len(ids), *ids], dtype="<i8").tobytes())
    return {"count": len(examples), "sha256": digest.hexdigest()}
