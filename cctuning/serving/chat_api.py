"""Requests and answers of OpenAI's chat API as JSON, with the connection's own fields.

What a request may hold and this server does not do is refused by name where it would change the answer.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cctuning.generation.conversation import ChatMessage, Decoding, Turn
from cctuning.serving.options import RequestError, RequestOptions
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.json_text import from_json, to_json

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# Fields that change no answer.
_PASSED_OVER = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
# Fields of what is not done here, with the values that ask for nothing.
_NOT_DONE: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "top_k": (0, -1),
    "repetition_penalty": (1,),
}


class Refusal(RequestError):
    """A request that is not answered, with HTTP's `status`."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ChatRequest:
    """A request for the next turn of a conversation.

    Attributes:
        messages: the conversation so far.
        decoding: how the response is chosen; `max_new_tokens` 0: as long as the server lets it be.
        stream: whether the answer is sent piece by piece.
        usage: whether a stream ends with the numbers of tokens.
        connected: False for the plain model's answer.
        english: the parallel of the last question.
        prompt_language: the last question's, which the model is to put into English itself.
    """

    messages: list[ChatMessage]
    decoding: Decoding
    stream: bool = False
    usage: bool = False
    connected: bool = True
    english: str | None = None
    prompt_language: str | None = None


def read_request(body: bytes, name: str) -> ChatRequest:
    """The request in a body, to the model called `name`. Raises `Refusal`, naming the field."""
    try:
        given = from_json(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"the body is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise Refusal(f"the body must be a JSON object, and is {_shown(given)}")
    given = {key: value for key, value in given.items() if value is not None and key not in _PASSED_OVER}
    model = given.pop("model", name)
    if model != name:
        raise Refusal(f"model={_shown(model)} is not served here, but {name!r} is", 404)
    for key, neutral in _NOT_DONE.items():
        if given.pop(key, neutral[0]) not in neutral:
            raise Refusal(f"{key} is not supported by this server, only by vLLM: leave it out")
    messages = _messages(given.pop("messages", None))
    decoding = Decoding(
        _longest(given),
        temperature=_number(given, "temperature", 0.0, 0, 2),
        top_p=_number(given, "top_p", 1.0, 0, 1),
        seed=_whole(given, "seed", None, -(2**63), 2**63 - 1),
        stop=_stop(given.pop("stop", [])),
    )
    stream = _flag("stream", given.pop("stream", False))
    options = dict(_object("stream_options", given.pop("stream_options", {})))
    usage = _flag("stream_options.include_usage", options.pop("include_usage", False))
    options.pop("include_obfuscation", None)  # changes no answer
    for key in options:
        raise Refusal(f"stream_options: {_shown(key)} is not supported, only include_usage")
    connection = _connection(_object("vllm_xargs", given.pop("vllm_xargs", {})))
    for key in given:
        raise Refusal(f"{_shown(key)} is no field of a request{did_you_mean(key, _KNOWN)}")
    return ChatRequest(messages, decoding, stream, usage, **connection)


_KNOWN = (
    *("messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"),
    *("stream", "stream_options", "vllm_xargs", *_NOT_DONE, *_PASSED_OVER),
)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refusal(f"{name} must be an object, and is {_shown(value)}")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Refusal(f"{name} must be text, and is {_shown(value)}")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise Refusal(f"{name} holds half a surrogate pair, which is no text")
    return value


def _flag(name: str, value: Any) -> bool:
    if value not in (True, False) or isinstance(value, float):
        raise Refusal(f"{name}={_shown(value)} must be true or false")
    return bool(value)


def _number(given: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = given.pop(name, default)
    if type(value) not in (int, float) or not low <= value <= high:
        raise Refusal(f"{name}={_shown(value)} must be a number from {low} to {high}")
    return float(value)


def _whole(given: dict[str, Any], name: str, default: Any, low: int, high: int) -> Any:
    value = given.pop(name, default)
    if value is not default and (type(value) is not int or not low <= value <= high):
        raise Refusal(f"{name}={_shown(value)} must be a whole number from {low} to {high}")
    return value


def _longest(given: dict[str, Any]) -> int:
    lengths = [_whole(given, name, None, 1, 2**31) for name in ("max_completion_tokens", "max_tokens")]
    return next(filter(None, lengths), 0)


def _stop(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    if len(texts) > 16 or not all(isinstance(text, str) and text for text in texts):
        raise Refusal(f"stop={_shown(value)} must be a text, or up to 16 of them")
    return tuple(_text("stop", text) for text in texts)


def _connection(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `ChatRequest` that are about the connection."""
    for key in given:
        if not key.startswith("cctuning_"):
            raise Refusal(f"vllm_xargs: {_shown(key)} is not supported by this server, only by vLLM")
    try:
        options = RequestOptions.of(given)
    except RequestError as error:
        raise Refusal(str(error)) from error
    names = ("connected", "english", "prompt_language")
    if isinstance(options.english, tuple) or (options.prompt_tokens or options.question) is not None:
        listed = ", ".join(f"cctuning_{name}" for name in names)
        raise Refusal(f"this server takes {listed}, and the English as text; the rest is vLLM's")
    if options.english is not None:
        _text("cctuning_english", options.english)
    return {name: getattr(options, name) for name in names}


def _messages(given: Any) -> list[ChatMessage]:
    if not isinstance(given, list) or not given:
        raise Refusal(f"messages must be a list with the conversation so far, and is {_shown(given)}")
    messages = [_message(f"messages[{number}]", message) for number, message in enumerate(given)]
    if messages[-1]["role"] != "user":
        raise Refusal("messages must end with one of role user, which is answered")
    return messages


def _message(place: str, given: Any) -> ChatMessage:
    given = {key: value for key, value in _object(place, given).items() if value not in (None, [])}
    role = given.pop("role", None)
    if not isinstance(role, str) or role not in ROLES:
        raise Refusal(f"{place}.role={_shown(role)} is not one of {', '.join(ROLES)}")
    content = given.pop("content", None)
    if isinstance(content, list):
        parts = [_object(f"{place}.content", part) for part in content]
        if any(part.get("type") != "text" for part in parts):
            raise Refusal(f"{place}.content holds more than text, which the model does not read")
        content = "".join(_text(f"{place}.content.text", part.get("text")) for part in parts)
    given.pop("name", None)
    for key in given:
        raise Refusal(f"{place}: {_shown(key)} is not supported, only role and content")
    return {"role": ROLES[role], "content": _text(f"{place}.content", content)}


class ChatAnswer:
    """The answer to one request: as one JSON object, or as the events of a stream."""

    def __init__(self, name: str) -> None:
        self._start = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}

    def whole(self, turn: Turn) -> str:
        """All of it."""
        message = {"role": "assistant", "content": turn.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(turn)}
        answer = {**self._start, "object": "chat.completion", "choices": [choice]}
        return to_json(answer | {"usage": _usage(turn), "cctuning": _connected(turn)})

    def piece(self, text: str, *, first: bool) -> str:
        """An event with a piece of the text."""
        return self._event({"content": text} | ({"role": "assistant"} if first else {}))

    def end(self, turn: Turn, *, usage: bool) -> str:
        """The events that end a stream."""
        last = self._event({}, _reason(turn), cctuning=_connected(turn))
        numbers = self._event(None, usage=_usage(turn)) if usage else ""
        return f"{last}{numbers}{event('[DONE]')}"

    def _event(self, delta: dict[str, str] | None, reason: str | None = None, **more: Any) -> str:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
        return event(to_json({**self._start, "object": "chat.completion.chunk", "choices": choices, **more}))


def event(data: str) -> str:
    """One event of a stream."""
    return f"data: {data}\n\n"


def error_body(message: str, status: int) -> str:
    """An error as the API writes it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return json.dumps({"error": {"message": message, "type": kind, "code": status}})


def _reason(turn: Turn) -> str:
    return "stop" if turn.ended else "length"


def _usage(turn: Turn) -> dict[str, int]:
    total = turn.prompt_tokens + turn.new_tokens
    return {"prompt_tokens": turn.prompt_tokens, "completion_tokens": turn.new_tokens, "total_tokens": total}


def _connected(turn: Turn) -> dict[str, Any]:
    english = {} if turn.english is None else {"english": turn.english}
    return {"connected": turn.connected, "layer": turn.layer, **english}
