"""The one tokenisation path: chat templates, prompts, responses, and where the response starts.

Training, the fit, inference and evaluation all tokenise here, so a model meets at inference exactly the
tokens it was trained on: the template writes its own BOS (never doubled), the prompt ends where the response
starts, and a response ends in the stop token.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from cctuning.data.template_checks import render, text_after_response

_BOS = "{{ bos_token if bos_token else '' }}"

# Prompts as the model families write them, without a system message.
TEMPLATES: dict[str, str] = {
    "llama3": (
        _BOS + "{% for message in messages %}"
        "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
        "{{ message['content'] + '<|eot_id|>' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "qwen": (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "mistral": (
        _BOS + "{% for message in messages %}"
        "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}"
        "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}"
        "{% endfor %}"
    ),
    "plain": (
        _BOS + "{% for message in messages %}"
        "{% if message['role'] == 'user' %}"
        "{{ '### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}"
        "{% else %}{{ message['content'] + eos_token + '\n\n' }}{% endif %}"
        "{% endfor %}"
    ),
}

# No template at all: the text goes on where the prompt ends, as the authors of XTransplant ask.
RAW = "raw"
_RAW_TEMPLATE = (
    _BOS + "{% for message in messages %}"
    "{{ message['content'] }}{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)

_NEEDED_TOKENS = {
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "qwen": ("<|im_start|>", "<|im_end|>"),
}

# Ends of prompts that a tokenizer may join with what follows: the marker is what stays the same after all of
# them.
_SAMPLE_PROMPTS = ("a", "B", "7", "?", ".", "\n", "।", "。", "ا", "ж", "ไ", " ")


def choose_template(tokenizer: PreTrainedTokenizerBase, template: str = "auto") -> None:
    """Gives `tokenizer` the chat template it will be saved with.

    `template`: llama3, qwen, mistral, plain, the path of a Jinja file, or "auto": the tokenizer's own where
    it has one (instruct models), else plain (base models). `raw` adds nothing but BOS: for asking only, since
    no token then marks the response start. Raises `ValueError` where the tokenizer lacks the template's
    special tokens, and `FileNotFoundError` for a path without a file.
    """
    if template == "auto":
        tokenizer.chat_template = tokenizer.chat_template or TEMPLATES["plain"]
    elif template in TEMPLATES:
        vocabulary = tokenizer.get_vocab()
        missing = [token for token in _NEEDED_TOKENS.get(template, ()) if token not in vocabulary]
        if missing:
            raise ValueError(
                f"template={template} needs the tokens {', '.join(missing)}, which this tokenizer lacks; "
                "use template=plain, or the template of the model's own family"
            )
        tokenizer.chat_template = TEMPLATES[template]
    elif template == RAW:
        tokenizer.chat_template = _RAW_TEMPLATE
    elif Path(template).is_file():
        try:
            tokenizer.chat_template = Path(template).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"template={template} is not UTF-8 text, at byte {error.start}") from error
        if not tokenizer.chat_template.strip():
            raise ValueError(f"template={template} is an empty file")
    else:
        raise FileNotFoundError(f"template={template} is neither auto, {', '.join(TEMPLATES)} nor a file")


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
        self.tokenizer = tokenizer
        self.stop_token_id = self._find_stop_token()
        self._control_tokens = _control_tokens(tokenizer)
        self._raw = tokenizer.chat_template == _RAW_TEMPLATE
        self._check_bos()
        self.response_marker = (
            [] if self._raw else _common_suffix([self.prompt_ids(text) for text in _SAMPLE_PROMPTS])
        )
        if not self.response_marker and not self._raw:
            raise ValueError(
                "the chat template adds nothing after the prompt, so no token marks the response start"
            )
        # Padding carries no label and no attention, so any token does.
        self.pad_token_id: int = (
            self.stop_token_id if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
        )

    @property
    def template_hash(self) -> str:
        """Tells apart tokenizers' chat templates: the start of the SHA-256."""
        return hashlib.sha256(str(self.tokenizer.chat_template).encode()).hexdigest()[:12]

    def prompt_text(self, text: str) -> str:
        """The prompt as the model sees it, up to the response start."""
        return render(self.tokenizer, [{"role": "user", "content": text}], open_response=True)

    def prompt_ids(self, text: str) -> list[int]:
        """Tokens of a prompt; the last one is at the response start."""
        return self.prompts_ids([text])[0]

    def prompts_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of many prompts, in one call of the tokenizer."""
        if self._raw:
            # Apart from its text, BOS leaves the text as the tokenizer begins one: SentencePiece's mark of a
            # word's start does not come behind a token that is spelled out.
            bos = self.tokenizer.bos_token_id
            return [([] if bos is None else [bos]) + ids for ids in self._ids(texts)]
        return self._ids([self.prompt_text(text) for text in texts])

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
        found = self._control_tokens.search(text) if self._control_tokens else None
        return found and found[0]

    def _check_bos(self) -> None:
        bos = self.tokenizer.bos_token_id
        if bos is not None and self.prompt_ids("a")[:2] == [bos, bos]:
            raise ValueError(f"the chat template begins with {self.tokenizer.bos_token} twice: write it once")

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:  # which tokenizers do not expect
            return []
        # Templates and labels bring their own special tokens.
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def _find_stop_token(self) -> int:
        """The special token that the template puts after a response, else EOS."""
        tail = text_after_response(self.tokenizer)
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        after = [token for token in self._ids([tail])[0] if token in special]
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
