"""Where and how a request is connected: made in the front end, read again in the engine and its workers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cctuning.serving.options import KEY, RequestError, RequestOptions


@dataclass(frozen=True)
class Translation:
    """The request that asks a model for the English of a prompt."""

    prompt: tuple[int, ...]
    stops: tuple[int, ...]  # the tokens that end it
    limit: int  # the most tokens that it may have
    penalties: dict[str, float]


@dataclass(frozen=True)
class Connection:
    """Where and how a request is connected, as the front end tells the engine."""

    start: int  # the token whose output predicts the first of the response, from 0; -1: not connected
    english: tuple[int, ...] | None = None  # tokens of the English prompt
    # Of a request that the scheduler makes for an English prompt: the request that it is for, and its tokens
    # up to the response start.
    serves: str | None = None
    prompt: tuple[int, ...] = ()
    # Before there is an English prompt: what the model is asked for it. Then the text that it has written.
    translation: Translation | None = None
    translated: str | None = None

    @classmethod
    def of(cls, request: Any) -> "Connection":
        """That of a request of the engine or of a worker, which have their tokens and sampling parameters."""
        params = request.sampling_params
        given = ((params and params.extra_args) or {}).get(KEY)
        if not given:  # made by something that did not go through the front end
            return cls(request.num_prompt_tokens - 1)
        names = {**given, "prompt": tuple(given["prompt"])}
        if names["translation"] is not None:
            names["translation"] = Translation(**names["translation"])
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
