"""Checks of what a chat template must do for training, on a sample conversation.

A template comes with a tokenizer or from a file. Jinja runs it in a sandbox and within limits: it can name no
file and no code, and it ends, but it can raise anything.
"""

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError, meta

from cctuning.data.template_limits import compiled, environment, rendered

_USER, _RESPONSE = "zq7 xk", "kv4 wj"  # texts that no template writes by itself
_USER_TURN = {"role": "user", "content": _USER}
_LONGEST = 100_000  # characters that a template may add to a prompt
# What every template may read, and is no argument of its own.
_GIVEN = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message"}
    | {"bos_token", "eos_token", "pad_token", "unk_token"}
)


def render(
    tokenizer: Any, messages: Sequence[dict[str, str]], *, open_response: bool, template: str = ""
) -> str:
    """The messages as the tokenizer's template writes them; with `open_response`, up to the response start.

    `template` stands in place of the tokenizer's own. Raises `ValueError` for whatever goes wrong inside of
    it, and where it does not end or writes without end.
    """
    given = {"tools": None, "documents": None, "add_generation_prompt": open_response}
    try:
        text = template or text_of(tokenizer)
        return rendered(compiled(text), messages, {**tokenizer.special_tokens_map, **given})
    except TemplateError as error:
        raise ValueError(f"the chat template cannot write a prompt: {error}") from error
    # It can raise anything: for a message without a key, text plus a number, a `break` without a loop.
    except Exception as error:
        kind = type(error).__name__
        raise ValueError(f"the chat template cannot write a prompt: {kind}: {error}") from error


def text_of(tokenizer: Any) -> str:
    """The template itself; of several by name the default one."""
    template = tokenizer.chat_template
    return str(template.get("default", "") if isinstance(template, dict) else template or "")


def arguments_of(tokenizer: Any) -> list[str]:
    """The variables that the template reads and that not every template is given, such as enable_thinking."""
    render(tokenizer, [_USER_TURN], open_response=True)  # what cannot be read is said there
    read = meta.find_undeclared_variables(environment().parse(text_of(tokenizer)))
    return sorted(read - _GIVEN - environment().globals.keys())


def begins_with_bos(tokenizer: Any, prompt: Sequence[int] | None = None) -> bool:
    """Whether a prompt's tokens begin with BOS; without `prompt`, what the tokenizer makes of a bare text."""
    ids = tokenizer("a")["input_ids"] if prompt is None else prompt
    return tokenizer.bos_token_id is not None and list(ids[:1]) == [tokenizer.bos_token_id]


def around_response(tokenizer: Any) -> tuple[str, str]:
    """The template's texts between a prompt and its response, and behind that, where its stop token is.

    The first is empty for most templates, or blank; Qwen 3's writes an empty thought there. Raises
    `ValueError` for a template that cannot be trained with: one that leaves out or changes the texts,
    writes a prompt differently once a response is there, does not open the response, or writes far too much.
    """
    user, assistant = _USER_TURN, {"role": "assistant", "content": _RESPONSE}
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
    return before, after
