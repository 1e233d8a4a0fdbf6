"""Right answers as token sequences, and how likely a response is to begin with one of them."""

from collections.abc import Sequence

from torch import Tensor

from cctuning.data.continuations import continuations
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.tasks import Task

TokenSequences = tuple[tuple[int, ...], ...]

_LONGEST = 64  # tokens of an answer that is scored in all cells of a study


def answer_sequences(prompts: PromptFormat, prompt: str, answers: Sequence[str]) -> TokenSequences:
    """The tokens that a response with one of the `answers` to the text `prompt` begins with.

    Where what stands before the response ends in no blank, an answer may also stand behind a space. No
    sequence begins with another one, so that their probabilities can be added.
    """
    texts = [answer.strip() for answer in answers]
    if not prompts.prompt_text(prompt)[-1:].isspace():
        texts += [f" {text}" for text in texts]
    sequences = dict.fromkeys(answer.ids for answer in continuations(prompts, prompt, texts))
    return tuple(ids for ids in sequences if not any(ids[:end] in sequences for end in range(1, len(ids))))


def scored_answers(prompts: PromptFormat, prompt: str, answers: Sequence[str]) -> TokenSequences:
    """Those of `answer_sequences` that a study scores in every cell: all but the longest."""
    return tuple(ids for ids in answer_sequences(prompts, prompt, answers) if len(ids) <= _LONGEST)


def unscored_warning(tasks: Sequence[Task], prompts: PromptFormat) -> str | None:
    """A warning of open questions whose answers are all too long to score; None: there are none."""
    unscored = [
        (task.name, question)
        for task in tasks
        for question in task.questions
        if not question.option_ids
        and not scored_answers(prompts, question.prompt.text, question.item.answers)
    ]
    if not unscored:
        return None
    name, question = unscored[0]
    return (
        f"the right answers to {len(unscored):,} questions (the first: {name}, id {question.item.id!r}) have "
        f"more than {_LONGEST} tokens: their log-probability is not measured, nor is it in the control"
    )


def right_log_probabilities(scores: Tensor) -> Tensor:
    """The nats (C,) of beginning with any of the sequences, from the nats (C, sequences) of each."""
    return scores.logsumexp(-1)
