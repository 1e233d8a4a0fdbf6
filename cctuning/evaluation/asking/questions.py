"""Items as a model is asked them: the texts, and their tokens."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cctuning.data.continuations import Continuation, option_continuations
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.items.item import Item


class Prompt(NamedTuple):
    """A prompt, and its tokens up to the response start."""

    text: str
    ids: list[int]


@dataclass(frozen=True)
class Question:
    """An item, the prompt that is asked, and its parallel for the connection where the mode needs one."""

    item: Item
    prompt: Prompt
    parallel: Prompt | None
    option_ids: tuple[tuple[int, ...], ...] = ()  # of the options as they are answered: (1), (2), ...
    parallel_option_ids: tuple[tuple[int, ...], ...] = ()  # the same behind the parallel prompt
    joined: bool = False  # the tokenizer joins the prompt's end with an option, which here are apart
    untranslated: bool = False  # the parallel is the text itself, for want of a translation

    @property
    def tokens(self) -> int:
        """The number of tokens of both prompts."""
        return len(self.prompt.ids) + (len(self.parallel.ids) if self.parallel else 0)


def encode_questions(
    items: Sequence[Item],
    texts: Sequence[str],
    parallel: Sequence[str] | None,
    prompts: PromptFormat,
    *,
    separator: str = " ",
) -> list[Question]:
    """The questions of `items`, through the one tokenisation path of training, fit and inference.

    `separator`: what stands before an option where no chat template stands before it.
    """

    @functools.cache
    def options_behind(text: str, labels: tuple[str, ...]) -> list[Continuation]:
        return option_continuations(prompts, text, labels, separator)

    encoded = [Prompt(*pair) for pair in zip(texts, prompts.prompts_ids(texts), strict=True)]
    others: list[Prompt | None] = [None] * len(items)
    if parallel is not None:
        others = [Prompt(*pair) for pair in zip(parallel, prompts.prompts_ids(parallel), strict=True)]
    questions = []
    for item, prompt, other in zip(items, encoded, others, strict=True):
        asked, elsewhere = (
            # With a chat template they are the same behind any text.
            options_behind(text.text if prompts.raw else "", tuple(item.options or ())) if text else []
            for text in (prompt, other)
        )
        questions.append(
            Question(
                item,
                prompt,
                other,
                tuple(option.ids for option in asked),
                tuple(option.ids for option in elsewhere),
                joined=any(option.joined for option in asked),
            )
        )
    return questions


class Fault(NamedTuple):
    """Reason why a question cannot be asked."""

    kind: str
    message: str


def fault(
    question: Question,
    prompts: PromptFormat,
    positions: int | None,
    new_tokens: int,
    *,
    both_answered: bool = False,
) -> Fault | None:
    """The reason why a question cannot be asked; None where it can.

    `positions`: the model's most, None for any. `both_answered`: the parallel prompt is answered too.
    """
    texts = [question.prompt.text, *([question.parallel.text] if question.parallel else [])]
    if not all(text.strip() for text in texts):
        message = (
            "it has no parallel prompt, which inference=bilingual, prompting=pim and a probe need: make the "
            "files with a translator (cctuning prepare benchmarks --help)"
        )
        return Fault("no parallel prompt", message)
    read = len(question.prompt.ids) + new_tokens
    parallel = len(question.parallel.ids) + both_answered * new_tokens if question.parallel else 0
    longest = max(read, parallel)
    if positions is not None and longest > positions:
        message = (
            f"{longest} tokens of prompt and response (max_new_tokens={new_tokens}), and the model has "
            f"{positions} positions"
        )
        return Fault("too long", message)
    if token := next(filter(None, map(prompts.control_token, texts)), None):
        message = f"it spells out {token}, which the tokenizer reads as the special token itself"
        return Fault("special token", message)
    return None
