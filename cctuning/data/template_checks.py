"""What a chat template must do for training, tried out on a sample conversation.

A template comes with a tokenizer or from a file. Jinja runs it in a sandbox: it can name no file and no code,
and its loops are bounded, but it can raise anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

_USER, _RESPONSE = "zq7 xk", "kv4 wj"  # texts that no template writes by itself
_LONGEST = 100_000  # characters that a template may add to a prompt


def render(tokenizer: Any, messages: Sequence[dict[str, str]], *, open_response: bool) -> str:
    """The messages as the tokenizer's template writes them; with `open_response`, up to the response start.

    Raises `ValueError` for whatever goes wrong inside of the template.
    """
    try:
        return str(
            tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=open_response)
        )
    except TemplateError as error:
        raise ValueError(f"the chat template cannot write a prompt: {error}") from error
    # The template's own: a message without the key it wants, text plus a number, a range that is too long.
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        kind = type(error).__name__
        raise ValueError(f"the chat template cannot write a prompt: {kind}: {error}") from error


def text_after_response(tokenizer: Any) -> str:
    """What the template writes behind a response, where its stop token is.

    Raises `ValueError` for a template that cannot be trained with: one that leaves out or changes the texts,
    writes a prompt differently once a response is there, does not open the response, or writes far too much.
    """
    user, assistant = {"role": "user", "content": _USER}, {"role": "assistant", "content": _RESPONSE}
    prompt = render(tokenizer, [user], open_response=True)
    if len(prompt) > _LONGEST:
        raise ValueError(f"the chat template writes {len(prompt):,} characters around a prompt")
    if _USER not in prompt:
        raise ValueError(
            f"the chat template leaves out or changes the user's message: {_USER!r} gives {prompt!r}"
        )
    conversation = render(tokenizer, [user, assistant], open_response=False)
    if not conversation.startswith(prompt):
        raise ValueError(
            "the chat template writes a prompt differently once the response is there, so a model would "
            "be trained on another prompt than it meets at inference: "
            f"{prompt!r} is no prefix of {conversation!r}"
        )
    before, response, after = conversation[len(prompt) :].partition(_RESPONSE)
    if not response:
        raise ValueError(f"the chat template leaves out or changes a response: it writes {conversation!r}")
    if before.strip() and prompt == render(tokenizer, [user], open_response=False):
        raise ValueError(
            f"the chat template writes {before!r} before a response, and leaves it out of a prompt: "
            "it must write it under `if add_generation_prompt`"
        )
    return after
