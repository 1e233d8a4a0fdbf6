"""Wrapping functions of vLLM that have no official hook, where they are what the plug-in knows."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from cctuning.serving.vllm.errors import UnservableError
from cctuning.serving.vllm.versions import TESTED, installed

_MARK = "cctuning_original"


def wrap(owner: Any, name: str, parameters: Sequence[str], wrapper: Callable[..., Any]) -> None:
    """Replaces `owner.name` by a function that calls `wrapper(original, ...)`, once.

    Raises `UnservableError` where the function is not what `check_signature` asks for.
    """
    original: Any = getattr(owner, name, None)
    if hasattr(original, _MARK):
        return
    check_signature(owner, name, parameters)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(wrapped, _MARK, original)
    setattr(owner, name, wrapped)


def check_signature(owner: Any, name: str, parameters: Sequence[str]) -> None:
    """Raises `UnservableError` where `owner.name` is no function whose first arguments are `parameters`.

    Then vLLM is of another version, whose numbers the plug-in might get wrong without a word.
    """
    function = getattr(owner, name, None)
    found = None if function is None else tuple(inspect.signature(function).parameters)
    if found is None or found[: len(parameters)] != tuple(parameters):
        takes = "is not there" if found is None else f"takes ({', '.join(found)})"
        raise UnservableError(
            f"{owner.__module__}.{owner.__qualname__}.{name} {takes}, and not ({', '.join(parameters)}): "
            f"vLLM {installed()} differs from what a connected model was tested with ({', '.join(TESTED)})"
        )
