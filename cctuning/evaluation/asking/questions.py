"""Items as a model is asked them: the texts, and their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    untranslated: bool = False  # the parallel is the text itself, for want of a translation

    @property
    def tokens(self) -> int:
        """The number of tokens of both prompts."""
        return len(self.prompt.ids) + (len(self.parallel.ids) if self.parallel else 0)


def encode_questions(
    items: Sequence[Item], texts: Sequence[str], parallel: Sequence[str] | None, prompts: PromptFormat
) -> list[Question]:
    """The questions of `items`, through the one tokenisation path of training, fit and inference."""
    encoded = [Prompt(*pair) for pair in zip(texts, prompts.prompts_ids(texts), strict=True)]
    others: list[Prompt | None] = [None] * len(items)
    if parallel is not None:
        others = [Prompt(*pair) for pair in zip(parallel, prompts.prompts_ids(parallel), strict=True)]
    labels = {label for item in items for label in item.options or ()}
    label_ids = {label: tuple(prompts.response_ids(f"({label})")[:-1]) for label in labels}
    return [
        Question(item, prompt, other, tuple(label_ids[label] for label in item.options or ()))
        for item, prompt, other in zip(items, encoded, others, strict=True)
    ]


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
