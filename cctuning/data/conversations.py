"""Texts of a row in the layouts that training data have: our own and Alpaca's columns, OpenAI's and
ShareGPT's lists of messages. What comes out is a prompt with what was said before it, and its response.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cctuning.data.fields import field_fault, is_blank, stripped, type_name

_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "model"), "assistant"),
}
_KEYS = (("role", "content"), ("from", "value"))  # OpenAI's, ShareGPT's
_SHAREGPT = "conversations"  # its column
# What changes a message's meaning and has no place in a prompt here.
_NOT_READ = (
    "tool_calls",
    "function_call",
    "tool_call_id",
    "reasoning_content",
    "thinking",
    "audio",
    "refusal",
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation; its role is system, user or assistant."""

    role: str
    content: str


class Texts(NamedTuple):
    """The texts of one side of a row, in its own language or in English.

    `instruction` and `output` are as they were read, and need not be texts; None where they are missing.
    """

    history: tuple[Message, ...]  # the messages before `instruction`
    instruction: Any
    output: Any
    faults: list[tuple[str, str]]  # (column, what is wrong)


def texts_of(values: Mapping[str, Any], columns: Mapping[str, str], suffix: str = "") -> Texts:
    """The texts that a row's columns hold; with the suffix `_en` those of its English parallel.

    `columns` name the columns by field. A row with an instruction is read by its columns, where Alpaca's
    `input` follows the instruction on a line of its own; one without by its list of messages.
    """
    column = {field: columns[f"{field}{suffix}"] for field in ("instruction", "input", "output", "system")}
    instruction, output = (_stripped(values.get(column[field])) for field in ("instruction", "output"))
    messages_column = messages_in(values, columns, suffix)
    if is_blank(instruction) and messages_column is not None:
        texts = _texts_of_messages(values[messages_column], messages_column)
    else:
        texts = Texts((), instruction, output, [])
        added = values.get(column["input"])
        if not is_blank(added):
            fault = field_fault("input", added, is_there=True)
            if fault:
                texts.faults.append((column["input"], fault))
            elif isinstance(instruction, str) and not is_blank(instruction):
                texts = texts._replace(instruction=f"{instruction}\n{stripped(str(added))}")
    return _with_system(texts, values.get(column["system"]), column["system"])


def messages_in(values: Mapping[str, Any], columns: Mapping[str, str], suffix: str = "") -> str | None:
    """The column of a row that holds its messages; None where there is none."""
    field = f"messages{suffix}"
    names = (columns[field], *([f"{_SHAREGPT}{suffix}"] if columns[field] == field else []))
    return next((name for name in names if not is_blank(values.get(name))), None)


def system_of(history: Sequence[Message]) -> tuple[Message, ...]:
    """The system message that a conversation begins with, alone; none where there is none."""
    return tuple(history[:1]) if history and history[0].role == "system" else ()


def with_same_system(english: Texts, texts: Texts) -> Texts:
    """The English side of `texts`, which has their system message where it has none of its own."""
    if is_blank(english.instruction) or system_of(english.history):
        return english
    return english._replace(history=(*system_of(texts.history), *english.history))


def _with_system(texts: Texts, system: Any, column: str) -> Texts:
    """The texts behind a system message from a column of its own."""
    if is_blank(system):
        return texts
    fault = field_fault("system", system, is_there=True)
    if not fault and system_of(texts.history):
        fault = "is there beside a system message among the messages: leave one of them out"
    if fault:
        return texts._replace(faults=[*texts.faults, (column, fault)])
    return texts._replace(history=(Message("system", stripped(system)), *texts.history))


def _texts_of_messages(value: Any, column: str) -> Texts:
    try:
        *history, last = _messages(value)
    except ValueError as error:
        return Texts((), None, None, [(column, str(error))])
    if last.role == "user":
        return Texts(tuple(history), last.content, None, [])
    return Texts(tuple(history[:-1]), history[-1].content, last.content, [])


def _messages(value: Any) -> list[Message]:
    """The messages of a list. Raises `ValueError` for what is none, or for turns in another order."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"is {type_name(value) if value != [] else 'empty'}, must be a list of messages")
    messages = [_message(number, item) for number, item in enumerate(value, start=1)]
    behind_system = len(system_of(messages))
    for number, message in enumerate(messages[behind_system:], start=behind_system + 1):
        wanted = ("user", "assistant")[(number - behind_system - 1) % 2]
        if message.role != wanted:
            raise ValueError(
                f"message {number} is of the {message.role}, and must be of the {wanted}: after a system "
                "message, if any, user and assistant take turns"
            )
    if len(messages) == behind_system:
        raise ValueError("has no message of the user")
    return messages


def _message(number: int, item: Any) -> Message:
    if not isinstance(item, dict):
        raise ValueError(f"message {number} is {type_name(item)}, must be an object")
    keys = next((keys for keys in _KEYS if item.get(keys[0]) is not None), None)
    if keys is None:
        raise ValueError(f"message {number} has neither 'role' and 'content' nor 'from' and 'value'")
    role, content = item[keys[0]], _content(item.get(keys[1]))
    if not isinstance(role, str) or role.lower() not in _ROLES:
        raise ValueError(f"message {number} is of {role!r:.60}, must be of one of {', '.join(_ROLES)}")
    if extra := [key for key in _NOT_READ if item.get(key)]:
        raise ValueError(f"message {number} has {extra[0]}, which is not read")
    if item.get("weight") == 0:
        raise ValueError(f"message {number} has a weight of 0: loss is on the last response, or on all alike")
    if fault := field_fault("content", content, keys[1] in item, required=("content",)):
        raise ValueError(f"message {number}, {keys[1]} {fault}")
    return Message(_ROLES[role.lower()], stripped(content))


def _content(content: Any) -> Any:
    """The text of OpenAI's list of parts where it is a single text, and anything else as it is."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        return part.get("text") if part.get("type") == "text" else content
    return content


def _stripped(value: Any) -> Any:
    return stripped(value) if isinstance(value, str) else value
