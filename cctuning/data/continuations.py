"""Tokens of texts that a response may begin with, behind its prompt: what log-likelihoods are taken of."""

from collections.abc import Sequence
from typing import NamedTuple

from cctuning.data.prompts import PromptFormat


class Continuation(NamedTuple):
    """Token ids behind a prompt's; `joined`: the tokenizer would join them with the prompt's last ones."""

    ids: tuple[int, ...]
    joined: bool = False


def continuations(prompts: PromptFormat, prompt: str, texts: Sequence[str]) -> list[Continuation]:
    """The tokens with which each of `texts` begins a response to the text `prompt`, without a stop token.

    With a chat template a response is tokenised by itself, as in training. Without one (`raw`) it goes on
    where the prompt ends, so its tokens are those that both as one text have behind the prompt's. Where the
    tokenizer joins the end of one with the other there are none: then they are those of the text alone.
    """
    if not prompts.raw:
        return [Continuation(tuple(ids[:-1])) for ids in prompts.responses_ids(texts)]
    start, *wholes = prompts.prompts_ids([prompt, *(prompt + text for text in texts)])
    return [
        Continuation(tuple(whole[len(start) :]))
        if whole[: len(start)] == start
        else Continuation(_apart(prompts, text), joined=True)
        for text, whole in zip(texts, wholes, strict=True)
    ]


def option_continuations(
    prompts: PromptFormat, prompt: str, labels: Sequence[str], separator: str = " "
) -> list[Continuation]:
    """Options as they are answered: (1), (2), …; under `raw` behind the prompt's own blank or `separator`."""
    before = separator if prompts.raw and not prompt[-1:].isspace() else ""
    return continuations(prompts, prompt, [f"{before}({label})" for label in labels])


def _apart(prompts: PromptFormat, text: str) -> tuple[int, ...]:
    """The tokens of `text` behind a line break: by themselves, some tokenizers put a blank before them."""
    start, whole = prompts.responses_ids(["\n", f"\n{text}"])
    return tuple(whole[len(start) - 1 : -1])
