"""Translated inference: before a request is read, the model itself is asked for its English.

The front end makes the prompt that asks for it, in the words of the export; the scheduler sends that first,
and makes an English prompt of what comes back.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from transformers import GenerationConfig

from cctuning.connection.modeling_cctuning import OwnTranslation
from cctuning.pretrained.generation_config import end_tokens, penalties
from cctuning.serving.options import KEY, RequestError, RequestOptions
from cctuning.serving.vllm.requests import Connection, Translation


def own_translation(model_config: Any, tokenizer: Callable[[], Any]) -> OwnTranslation:
    """The words and templates of the model that vLLM's `model_config` is of."""
    return OwnTranslation(model_config.hf_config.cctuning, tokenizer)


def last_question(messages: Sequence[Any]) -> str | None:
    """The text of the last message of a conversation; None where it is none of a user, or more than text."""
    last = messages[-1] if messages else None
    if not isinstance(last, dict) or last.get("role") != "user":
        return None
    content = last.get("content")
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        plain = [text for text in texts if isinstance(text, str)]
        content = "\n".join(plain) if len(plain) == len(texts) else None
    return content.strip() or None if isinstance(content, str) else None


def ask(options: RequestOptions, prompt: Sequence[int], own: OwnTranslation, processor: Any) -> Translation:
    """The request for the English of `options.question`, or of what stands in `prompt`.

    Raises `RequestError` for a language that the model does not translate, a prompt that is more than one
    message, and one for whose translation the model has no room.
    """
    model_config = processor.model_config
    rules = GenerationConfig(**model_config.try_get_generation_config())
    language = str(options.prompt_language)
    try:
        own.check(language)
        text = options.question or _text_of(prompt, own)
        (ids,), (limit,) = own.ask([text], language)
        ends, factors = end_tokens(rules), penalties(rules)
    except ValueError as error:
        raise RequestError(f"{KEY}_prompt_language: {error}") from error
    if "no_repeat_ngram_size" in factors:
        raise RequestError("generation_config.json sets no_repeat_ngram_size, which vLLM does not have")
    if len(ids) + limit > model_config.max_model_len:
        raise RequestError(
            f"the prompt in English may take {len(ids) + limit} tokens with what asks for it, and the model "
            f"takes {model_config.max_model_len}"
        )
    stops = ends or [processor.get_tokenizer().eos_token_id]
    return Translation(tuple(ids), tuple(stops), limit, factors)


def _text_of(prompt: Sequence[int], own: OwnTranslation) -> str:
    try:
        return own.text_of(prompt)
    except ValueError as error:
        raise ValueError(f"{error}: say in {KEY}_question what is to be put into English") from error


def translated(
    connection: Connection, tokens: Sequence[int], own: OwnTranslation, longest: int
) -> Connection:
    """The connection of a request whose translation has come back as `tokens`.

    It is not connected where the translation has no end, or makes a prompt of `longest` tokens or more.
    """
    assert connection.translation is not None
    text, ended = own.read(tokens, connection.translation.stops)
    (english,) = own.prompts([text])
    start, ids = (connection.start, tuple(english)) if ended and len(english) < longest else (-1, None)
    return dataclasses.replace(connection, start=start, english=ids, translation=None, translated=text)
