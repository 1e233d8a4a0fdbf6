"""The one tokenisation path: chat templates, prompts, responses, and where the response starts.

Training, the fit, inference and evaluation all tokenise here, so a model meets at inference exactly the
tokens it was trained on: the template writes its own BOS (never doubled), the prompt ends where the response
starts, and a response ends in the stop token.
"""

import hashlib
import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from cctuning.data.conversations import Message
from cctuning.data.template_checks import arguments_of, around_response, begins_with_bos, render, text_of
from cctuning.data.template_dates import DATE, check_repeatable, date_is_fixed
from cctuning.data.templates import RAW_TEMPLATE, choose_template

__all__ = ["PromptFormat", "choose_template"]

# Ends of prompts that a tokenizer may join with what follows: the marker is what stays the same after all of
# them.
SAMPLE_PROMPTS = ("a", "B", "7", "?", ".", "\n", "।", "。", "ا", "ж", "ไ", " ")
_SENTINEL = "SENTINEL"


class PromptFormat:
    """Token ids of prompts and responses for a tokenizer with a chat template.

    `stop_token_id` ends every response; `response_marker` are the ids that end every prompt, by which a model
    finds the response start in a text that it did not generate (none under `raw`). Raises `ValueError` for a
    tokenizer without a template or a stop token, and for a template that cannot be trained with
    (`template_checks`).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise ValueError("the tokenizer has no chat template: call choose_template first")
        check_repeatable(tokenizer)
        self.tokenizer = tokenizer
        self.raw = tokenizer.chat_template == RAW_TEMPLATE
        self.before_response, self._after_response = around_response(tokenizer)
        self.stop_token_id = self._find_stop_token()
        self._control_tokens = _control_tokens(tokenizer)
        bos = tokenizer.bos_token_id
        if bos is not None and self.prompt_ids("a")[:2] == [bos, bos]:
            raise ValueError(f"the chat template begins with {tokenizer.bos_token} twice: write it once")
        self.response_marker = (
            [] if self.raw else _common_suffix([self.prompt_ids(text) for text in SAMPLE_PROMPTS])
        )
        if not self.response_marker and not self.raw:
            raise ValueError(
                "the chat template adds nothing after the prompt, so no token marks the response start"
            )
        # Padding carries no label and no attention, so any token does.
        self.pad_token_id: int = (
            self.stop_token_id if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
        )

    @property
    def notes(self) -> list[str]:
        """Notes on what may surprise in these prompts, a sentence each."""
        notes = []
        if begins_with_bos(self.tokenizer) and not begins_with_bos(self.tokenizer, self.prompt_ids("a")):
            bos = self.tokenizer.bos_token
            notes.append(
                f"the chat template begins without {bos}, which the tokenizer itself puts before a text, and "
                "many models do worse without it: begin the template with {{ bos_token }}"
            )
        if date_is_fixed(self.tokenizer):
            notes.append(f"the chat template writes today's date: {DATE:%d %b %Y} stands in its place")
        if self.before_response.strip():
            names = arguments_of(self.tokenizer)
            arguments = f" (template_arguments.KEY=value sets {', '.join(names)})" if names else ""
            notes.append(
                f"the chat template writes {self.before_response!r} before a response and not at a prompt's "
                f"end, so the prompts here go without{arguments}"
            )
        stop = str(self.tokenizer.convert_ids_to_tokens(self.stop_token_id))
        if self._after_response.strip() and stop not in self._after_response:
            notes.append(
                f"the chat template writes {self._after_response!r} after a response, which holds no special "
                f"token: responses end in {stop}"
            )
        return notes

    @property
    def prompt_start(self) -> list[int]:
        """The ids that begin every prompt, before its text; [] under `raw`."""
        before = self.prompt_text(_SENTINEL).partition(_SENTINEL)[0]
        if self.raw or not before:
            return []
        ids = [*self._ids([before]), *self.prompts_ids(SAMPLE_PROMPTS)]  # which may join both with the text
        return _common_suffix([row[::-1] for row in ids])[::-1]

    @property
    def template_hash(self) -> str:
        """Tells apart tokenizers' chat templates: the start of the SHA-256."""
        return hashlib.sha256(text_of(self.tokenizer).encode()).hexdigest()[:12]

    def prompt_text(self, text: str, history: Sequence[Message] = ()) -> str:
        """The prompt as the model sees it, up to the response start; `history` is what was said before it."""
        turns = [{"role": message.role, "content": message.content} for message in history]
        return render(self.tokenizer, [*turns, {"role": "user", "content": text}], open_response=True)

    def prompt_ids(self, text: str, history: Sequence[Message] = ()) -> list[int]:
        """Tokens of a prompt; the last one is at the response start."""
        return self.prompts_ids([text], [history])[0]

    def prompts_ids(
        self, texts: Sequence[str], histories: Sequence[Sequence[Message]] | None = None
    ) -> list[list[int]]:
        """Tokens of many prompts, in one call of the tokenizer; `histories`: what was said before each."""
        written = [
            text if self.raw and not history else self.prompt_text(text, history)
            for text, history in zip(texts, histories or [()] * len(texts), strict=True)
        ]
        # Without a template: what the tokenizer makes of the text, BOS included where it adds one.
        return self._ids(written, add_special_tokens=self.raw)

    def conversation_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Tokens of a conversation, up to the start of its next response.

        A message has a `role` (system, user, assistant) and a `content`. Raises `ValueError` for what the
        template refuses.
        """
        text = render(self.tokenizer, messages, open_response=True)
        return self._ids([text], add_special_tokens=self.raw)[0]

    def response_ids(self, text: str) -> list[int]:
        """Tokens of a response; the last one is the stop token."""
        return self.responses_ids([text])[0]

    def responses_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of many responses, in one call of the tokenizer."""
        return [[*ids, self.stop_token_id] for ids in self._ids(texts)]

    def response_text(self, ids: Sequence[int]) -> str:
        """The text of generated tokens, without what follows the stop token."""
        ids = list(ids)
        if self.stop_token_id in ids:
            ids = ids[: ids.index(self.stop_token_id)]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def control_token(self, text: str) -> str | None:
        """The first special token that is spelled out in `text`; None where there is none.

        The tokenizer would read it as the token itself: a text could end its turn and begin another.
        """
        match = self._control_tokens.search(text) if self._control_tokens else None
        return match and match[0]

    def _ids(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[int]]:
        if not texts:  # which tokenizers do not expect
            return []
        # Templates and labels bring their own special tokens.
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=add_special_tokens)["input_ids"]
        return ids

    def _find_stop_token(self) -> int:
        """The special token that the template puts after a response, else EOS.

        Not every added token is one: Gemma's line breaks are added too, and stand in the middle of texts.
        """
        added = self.tokenizer.added_tokens_decoder.items()
        special = {*self.tokenizer.all_special_ids, *(number for number, token in added if token.special)}
        after = [token for token in self._ids([self._after_response])[0] if token in special]
        stop = after[0] if after else self.tokenizer.eos_token_id
        if stop is None:
            raise ValueError(
                "no token ends a response: the tokenizer has no EOS and the template writes no other"
            )
        return int(stop)


def _control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str] | None:
    """Finds the special tokens of a tokenizer in a text."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    tokens = sorted({*tokenizer.all_special_tokens, *added}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None


def _common_suffix(sequences: Sequence[Sequence[int]]) -> list[int]:
    """The longest run of ids that all sequences end with."""
    shortest = min(len(sequence) for sequence in sequences)
    length = 0
    while length < shortest and len({sequence[-1 - length] for sequence in sequences}) == 1:
        length += 1
    return list(sequences[0][len(sequences[0]) - length :])
