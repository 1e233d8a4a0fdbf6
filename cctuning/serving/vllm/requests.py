"""What a request may ask of the connection, checked in the front end and read again in engine and worker.

`LLM` takes `SamplingParams(extra_args={"cctuning": {"connected": False}})`; over HTTP the same keys come
flat, as `"vllm_xargs": {"cctuning_connected": 0}`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
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
        if options.english is not None and not options.connected:
            raise RequestError(f"{KEY}_english has no use with {KEY}_connected=0: give one of them")
        return options


@dataclass(frozen=True)
class Connection:
    """Where and how a request is connected, as the front end tells the engine."""

    start: int  # the token whose output predicts the first of the response, from 0; -1: not connected
    english: tuple[int, ...] | None = None  # tokens of the English prompt
    # Of a request that the scheduler makes for an English prompt: the request that it is for, and its tokens
    # up to the response start.
    serves: str | None = None
    prompt: tuple[int, ...] = ()

    @classmethod
    def of(cls, request: Any) -> "Connection":
        """That of a request of the engine or of a worker, which have their tokens and sampling parameters."""
        params = request.sampling_params
        given = ((params and params.extra_args) or {}).get(KEY)
        if not given:  # made by something that did not go through the front end
            return cls(request.num_prompt_tokens - 1)
        names = {**given, "prompt": tuple(given["prompt"])}
        return cls(**names)

    def as_extra_args(self) -> dict[str, Any]:
        """What goes into a request's extra arguments."""
        return {KEY: asdict(self)}


def resolve(
    options: RequestOptions,
    tokens: Sequence[int],
    *,
    marker: Sequence[int],
    scores_prompt: bool,
    english: Sequence[int] | None,
) -> Connection:
    """The connection of a request with the prompt `tokens`.

    A response starts after the prompt. Where the log-likelihoods of the prompt's own tokens are asked for
    (`scores_prompt`), it holds a response too: that starts after the last `marker`, as in a bare forward of
    the exported model, or after `prompt_tokens`. Raises `RequestError` where there is neither.
    """
    if not options.connected:
        return Connection(-1)
    length = len(tokens)
    if options.prompt_tokens is not None:
        length = options.prompt_tokens
        if length > len(tokens):
            raise RequestError(f"{KEY}_prompt_tokens={length}, but the prompt has {len(tokens)} tokens")
    elif scores_prompt:
        length = _end_of_last(marker, tokens)
        if not length:
            raise RequestError(
                "log-likelihoods of prompt tokens are asked for, and no response marker in the prompt tells "
                "where the response starts: apply the chat template, or give "
                f"{KEY}_prompt_tokens, or {KEY}_connected=0"
            )
    return Connection(length - 1, None if english is None else tuple(english))


def _end_of_last(marker: Sequence[int], tokens: Sequence[int]) -> int:
    """How many tokens there are up to the end of the last `marker`; 0 where there is none."""
    wanted, size = list(marker), len(marker)
    ends = range(len(tokens), size - 1, -1)
    return next((end for end in ends if size and list(tokens[end - size : end]) == wanted), 0)


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


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "connected": _switch,
    "english": _english,
    "prompt_tokens": _count,
}
