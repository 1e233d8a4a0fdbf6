"""What was connected, in the last events of a streamed answer, where vLLM has no place for it."""

import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from cctuning.serving.vllm.configuration import is_connected
from cctuning.serving.vllm.patches import wrap


def install() -> None:
    """Wraps what writes the events of both APIs."""
    from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
    from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion

    chat, completion = "chat_completion_stream_generator", "completion_stream_generator"
    wrap(OpenAIServingChat, chat, ("self", "request", "result_generator"), _events)
    names = ("self", "request", "engine_inputs", "result_generator")
    wrap(OpenAIServingCompletion, completion, names, _events)


async def _events(original: Callable[..., Any], server: Any, *args: Any, **kwargs: Any) -> AsyncIterator[str]:
    """The events of a stream; those of its last tokens hold `kv_transfer_params`, as whole answers do."""
    given = inspect.signature(original).bind(server, *args, **kwargs)
    told: dict[str, Any] | None = None

    async def watched(results: Any) -> AsyncIterator[Any]:
        nonlocal told
        async for result in results:
            output = result[1] if isinstance(result, tuple) else result  # with the number of its prompt
            told = output.kv_transfer_params
            yield result

    if is_connected(server.engine_client.vllm_config):
        given.arguments["result_generator"] = watched(given.arguments["result_generator"])
    async with aclosing(original(*given.args, **given.kwargs)) as events:
        async for event in events:
            yield event if told is None else _with(event, {"kv_transfer_params": told})


def _with(event: str, fields: dict[str, Any]) -> str:
    """An event of JSON with more fields; any other as it is."""
    data = event.removeprefix("data: ").strip()
    if not data.startswith("{"):
        return event
    return f"data: {json.dumps(json.loads(data) | fields, ensure_ascii=False)}\n\n"
