"""What a request may ask of the connection, the same for every server.

Over HTTP the keys come flat, as `"vllm_xargs": {"cctuning_connected": 0}`; vLLM's `LLM` takes them as
`SamplingParams(extra_args={"cctuning": {"connected": False}})`, too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cctuning.settings.near_matches import did_you_mean

KEY = "cctuning"


class RequestError(ValueError):
    """A request that cannot be answered as it asks to be."""


@dataclass(frozen=True)
class RequestOptions:
    """Per-request settings as a client gives them."""

    connected: bool = True
    english: str | tuple[int, ...] | None = None  # the parallel English question, or the tokens of its prompt
    prompt_tokens: int | None = None  # how many tokens the prompt has where a response follows it
    prompt_language: str | None = None  # whose words the model itself is to put into English first
    question: str | None = None  # what it puts into English, where the prompt is more than that

    @classmethod
    def of(cls, extra_args: Mapping[str, Any] | None) -> "RequestOptions":
        """The options among a request's extra arguments. Raises `RequestError`, naming what is wrong."""
        given = _flat(extra_args or {})
        for name in given:
            if name not in _CHECKS:
                raise RequestError(
                    f"{KEY}_{name} is no argument of a connected model{did_you_mean(name, list(_CHECKS))}; "
                    f"it takes {', '.join(f'{KEY}_{known}' for known in _CHECKS)}"
                )
        options = cls(**{name: _CHECKS[name](f"{KEY}_{name}", value) for name, value in given.items()})
        for name, other, apart in _APART:
            if getattr(options, name) is not None and apart(options):
                raise RequestError(f"{KEY}_{name} has no use {other}")
        return options


def _flat(extra_args: Mapping[str, Any]) -> dict[str, Any]:
    nested = extra_args.get(KEY) or {}
    if not isinstance(nested, Mapping):
        raise RequestError(f"{KEY} must be an object, and is {nested!r:.80}")
    flat = {name.removeprefix(f"{KEY}_"): v for name, v in extra_args.items() if name.startswith(f"{KEY}_")}
    if both := sorted(set(nested) & set(flat)):
        raise RequestError(f"{KEY}_{both[0]} is given twice")
    return {**nested, **flat}


def _switch(name: str, value: Any) -> bool:
    if value not in (True, False) or not isinstance(value, bool | int | float):
        raise RequestError(f"{name}={value!r:.80} must be 0 or 1")
    return bool(value)


def _english(name: str, value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str) and value.strip():
        return value
    if (
        isinstance(value, list | tuple)
        and value
        and all(type(token) is int and token >= 0 for token in value)
    ):
        return tuple(value)
    raise RequestError(f"{name}={value!r:.80} must be the English question, or the token ids of its prompt")


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise RequestError(f"{name}={value!r:.80} must be a whole number above 0")
    return value


def _text(name: str, value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise RequestError(f"{name}={value!r:.80} must be text")


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "connected": _switch,
    "english": _english,
    "prompt_tokens": _count,
    "prompt_language": _text,
    "question": _text,
}
# An option, and beside what it has no use.
_APART: tuple[tuple[str, str, Callable[[RequestOptions], bool]], ...] = (
    ("english", f"with {KEY}_connected=0: give one of them", lambda given: not given.connected),
    ("prompt_language", f"with {KEY}_connected=0: give one of them", lambda given: not given.connected),
    ("prompt_language", f"with {KEY}_english: give one of them", lambda given: given.english is not None),
    ("question", f"without {KEY}_prompt_language", lambda given: given.prompt_language is None),
)
