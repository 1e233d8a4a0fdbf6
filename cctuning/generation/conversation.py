"""The next turn of a conversation: all of it is read, and its last response start alone is connected."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer

from cctuning.connection.connected import connection_of, without_connection
from cctuning.data.prompts import PromptFormat
from cctuning.generation.finite import finite_logits
from cctuning.generation.generate import Answer, answer_of, generate_batch, model_inputs
from cctuning.generation.rules import generating_by, greedy_rules, stop_tokens
from cctuning.pretrained.loading import positions_of

ChatMessage = dict[str, str]  # a role (system, user, assistant) and a content
Show = Callable[[str], object]  # is given each new piece of a text

_GREEDY_BELOW = 1e-5  # temperatures that leave one token to sample; smaller ones overflow the division
_UNDECODED = "\ufffd"  # what a tokenizer writes for the first bytes of a sign


@dataclass(frozen=True)
class Decoding:
    """How the tokens of a response are chosen, and where it ends.

    Attributes:
        max_new_tokens: the longest response.
        temperature: of sampling; 0: the best token each time.
        top_p: of sampling; the smallest set of tokens with this share of the probability.
        seed: of sampling; None: another response each time.
        stop: texts before which a response ends.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn(Answer):
    """An answer, with the number of tokens read and written, and whether it came to its end."""

    prompt_tokens: int = 0
    new_tokens: int = 0
    ended: bool = True


@dataclass(frozen=True)
class EncodedConversation:
    """A conversation in tokens: ids up to the next response, and those of its last question in English.

    `english`: the text of these, where the model itself has written it. `connected`: False where it did not
    come to an end.
    """

    ids: list[int]
    english_ids: list[int] | None = None
    english: str | None = None
    connected: bool = True


def encode_conversation(
    model: Any,
    prompts: PromptFormat,
    messages: Sequence[ChatMessage],
    english: str | None = None,
    *,
    prompt_language: str | None = None,
) -> tuple[EncodedConversation, int]:
    """The conversation in tokens, and for how many more the model has positions.

    `english`: the parallel of the last question, which is a prompt of its own, as in training; with
    `prompt_language`, the question's, the model writes that itself. Raises `ValueError` for what the chat
    template refuses, a language that the model does not translate, and a conversation that it has no room
    for.
    """
    if not (english is None and prompt_language is None) and connection_of(model) is None:
        raise ValueError("an English parallel needs a connected model, and this is a plain one")
    own = None
    if prompt_language is not None:
        own = english = own_english(model, prompts, messages[-1]["content"], prompt_language)
    ids = prompts.conversation_ids(messages)
    english_ids = None if english is None else prompts.prompt_ids(english)
    positions = positions_of(model.config) or sys.maxsize
    room = positions - len(ids)
    if room < 1 or len(english_ids or []) > positions:
        raise ValueError(
            f"the conversation has {len(ids)} tokens (in English {len(english_ids or [])}), and the model "
            f"{positions} positions for them and the answer: make it shorter"
        )
    connected = prompt_language is None or own is not None
    return EncodedConversation(ids, english_ids, own, connected), room


def own_english(model: Any, prompts: PromptFormat, question: str, language: str) -> str | None:
    """A question in English, as the connected `model` puts it itself; None where its translation has no end.

    Raises `ValueError` for a language that it does not translate, and a question with special tokens.
    """
    ids = prompts.prompt_ids(question)
    inputs = model_inputs(model, prompts, [ids], None)
    rules = greedy_rules(model, prompts)
    with generating_by(model, rules), finite_logits(model, prompts.tokenizer, [ids]):
        [text], [ended] = connection_of(model).english_texts(**inputs, language=language)
    return text if ended else None


def respond(
    model: Any,
    prompts: PromptFormat,
    prompt: EncodedConversation,
    decoding: Decoding,
    *,
    connected: bool = True,
    show: Show,
) -> Turn:
    """The response to a conversation; `show` is given its text piece by piece, while it is written.

    `connected`: False for an answer of the plain model. One call at a time: the model's rules are changed
    while it runs. Raises `NonFiniteError` for logits that are not finite.
    """
    streamer = _Pieces(prompts, decoding.stop, show)
    options: dict[str, Any] = {"streamer": streamer}
    if decoding.temperature >= _GREEDY_BELOW:
        options |= {
            "do_sample": True,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "top_k": 0,
        }
    if decoding.stop:
        options |= {"stop_strings": list(decoding.stop), "tokenizer": prompts.tokenizer}
    english_ids = None if prompt.english_ids is None else [prompt.english_ids]
    switched = nullcontext() if connected and prompt.connected else without_connection(model)
    with switched, _seeded(model, decoding.seed):
        tokens, layers = generate_batch(
            model, prompts, [prompt.ids], english_ids, max_new_tokens=decoding.max_new_tokens, **options
        )
    new = tokens[0].tolist()
    said = answer_of(prompts, new, int(layers[0]))
    ended = streamer.stopped or len(new) < decoding.max_new_tokens or new[-1] in stop_tokens(model, prompts)
    return Turn(
        streamer.text,
        said.connected,
        said.layer,
        prompt.english,
        prompt_tokens=len(prompt.ids),
        new_tokens=len(new),
        ended=ended,
    )


class _Pieces(BaseStreamer):
    """Text of a response in pieces, which joined are the whole of it, without what follows a stop text."""

    def __init__(self, prompts: PromptFormat, stop: Sequence[str], show: Show) -> None:
        self.text = ""  # what was shown
        self.stopped = False
        self._prompts, self._stop, self._show = prompts, stop, show
        self._tokens: list[int] | None = None
        self._held = max(map(len, stop), default=1) - 1  # characters that may begin a stop text

    def put(self, value: torch.Tensor) -> None:
        """Takes the prompt, and then each token."""
        if self._tokens is None:
            self._tokens = []
            return
        self._tokens += value.flatten().tolist()
        text = self._cut()
        if not self.stopped:
            text = text[: len(text) - self._held]
        if not text.endswith(_UNDECODED):
            self._add(text)

    def end(self) -> None:
        """Shows what was held back."""
        text = self._cut()
        self._add(text)
        self.text = text

    def _cut(self) -> str:
        text = self._prompts.response_text(self._tokens or [])
        places = [place for sign in self._stop if (place := text.find(sign)) >= 0]
        self.stopped = bool(places)
        return text[: min(places)].rstrip() if places else text

    def _add(self, text: str) -> None:
        # A tokenizer may write an earlier token in another way once it knows the next: then all waits.
        if len(text) > len(self.text) and text.startswith(self.text):
            self._show(text[len(self.text) :])
            self.text = text


@contextmanager
def _seeded(model: Any, seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
