"""Right answers as token sequences, and how likely a response is to begin with one of them."""

from collections.abc import Sequence

from torch import Tensor

from cctuning.data.continuations import continuations
from cctuning.data.prompts import PromptFormat

TokenSequences = tuple[tuple[int, ...], ...]


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


def right_log_probabilities(scores: Tensor) -> Tensor:
    """The nats (C,) of beginning with any of the sequences, from the nats (C, sequences) of each."""
    return scores.logsumexp(-1)
