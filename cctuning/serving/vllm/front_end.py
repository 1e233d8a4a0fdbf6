"""The connection in the front end: requests are checked there, where an error is an answer and no crash."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from cctuning.connection.modeling_cctuning import OwnTranslation
from cctuning.serving.options import KEY, RequestError, RequestOptions
from cctuning.serving.vllm import streams, translation
from cctuning.serving.vllm.configuration import is_connected
from cctuning.serving.vllm.patches import wrap
from cctuning.serving.vllm.requests import Connection, resolve


def install() -> None:
    """Wraps what takes requests in; requests to other models go through as they are."""
    from vllm.entrypoints.generate.beam_search import offline, online
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest
    from vllm.v1.engine.input_processor import InputProcessor

    process = ("self", "request_id", "prompt", "params", "supported_tasks")
    wrap(InputProcessor, "process_inputs", process, _process_inputs)
    for asked in (CompletionRequest, ChatCompletionRequest):
        wrap(asked, "to_sampling_params", ("self", "max_tokens"), _to_sampling_params)
    wrap(offline.BeamSearchOfflineMixin, "beam_search", ("self", "prompts", "params"), _refuse_beams)
    wrap(online.BeamSearchOnlineMixin, "beam_search", ("self", "prompt", "request_id"), _refuse_beams)
    streams.install()


def _process_inputs(original: Callable[..., Any], processor: Any, *args: Any, **kwargs: Any) -> Any:
    """The engine's request, with its connection in place of what the client asked for."""
    from vllm.exceptions import VLLMValidationError

    request = original(processor, *args, **kwargs)
    if not is_connected(processor.vllm_config) or request.sampling_params is None:
        return request
    try:
        connection = connection_of(request, processor)
    except RequestError as error:
        raise VLLMValidationError(str(error)) from error
    params = request.sampling_params  # a copy of the client's
    others = {name: v for name, v in (params.extra_args or {}).items() if not name.startswith("cctuning")}
    params.extra_args = others | connection.as_extra_args()
    return request


def _to_sampling_params(original: Callable[..., Any], asked: Any, *args: Any, **kwargs: Any) -> Any:
    """A request's parameters, with its options checked while a stream can still be refused by its status."""
    from vllm.exceptions import VLLMValidationError

    params = original(asked, *args, **kwargs)
    try:
        options = RequestOptions.of(params.extra_args)
    except RequestError as error:
        raise VLLMValidationError(str(error)) from error
    if options.prompt_language is not None and options.question is None:
        question = translation.last_question(getattr(asked, "messages", []))
        params.extra_args |= {} if question is None else {f"{KEY}_question": question}
    return params


def connection_of(request: Any, processor: Any) -> Connection:
    """The connection of a request that vLLM has tokenised. Raises `RequestError`."""
    params = request.sampling_params
    options = RequestOptions.of(params.extra_args)
    if request.prompt_token_ids is None or request.prompt_embeds is not None:
        raise RequestError("a connected model takes no prompt embeddings")
    if request.resumable:
        raise RequestError("a connected model takes no streamed prompts: send the whole prompt")
    own = translation.own_translation(processor.model_config, processor.get_tokenizer)
    connection = resolve(
        options,
        request.prompt_token_ids,
        marker=processor.model_config.hf_config.cctuning["response_marker"],
        scores_prompt=params.prompt_logprobs is not None,
        english=_english_tokens(options.english, own, processor),
    )
    if options.prompt_language is None:
        return connection
    asked = translation.ask(options, request.prompt_token_ids[: connection.start + 1], own, processor)
    return dataclasses.replace(connection, translation=asked)


def _english_tokens(
    english: str | Sequence[int] | None, own: OwnTranslation, processor: Any
) -> Sequence[int] | None:
    """The tokens of the English prompt: those given, or the question in the chat template."""
    if english is None:
        return None
    ids: Any = english
    if isinstance(english, str):
        if not getattr(processor.get_tokenizer(), "chat_template", None):
            raise RequestError(
                "the model has no chat template to put cctuning_english in: give the token ids of the prompt"
            )
        (ids,) = own.prompts([english])
    most, vocabulary = processor.model_config.max_model_len, processor.model_config.get_vocab_size()
    if len(ids) >= most:
        raise RequestError(f"the English prompt has {len(ids)} tokens, and the model takes {most - 1}")
    if max(ids) >= vocabulary:
        raise RequestError(f"cctuning_english: token {max(ids)} is beyond the vocabulary of {vocabulary}")
    return ids


def _refuse_beams(original: Callable[..., Any], server: Any, *args: Any, **kwargs: Any) -> Any:
    from vllm.exceptions import VLLMValidationError

    client = getattr(server, "engine_client", None) or server.llm_engine
    if is_connected(client.vllm_config):
        raise VLLMValidationError(
            "a connected model does no beam search here, which asks for each next token with a prompt of its "
            "own: use n=, or `generate` of transformers"
        )
    return original(server, *args, **kwargs)
