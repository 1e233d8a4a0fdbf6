"""Chat templates: those of the model families, and a tokenizer's own made a function of texts alone.

A fixed date and arguments are written into the template itself, as lines before it. A saved tokenizer
carries them, so that training, fit, evaluation and an exported model write the same prompts.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from cctuning.data.template_checks import arguments_of, begins_with_bos, text_of
from cctuning.data.template_dates import with_date, writes_the_date
from cctuning.pretrained.kinds import check_link
from cctuning.settings.near_matches import did_you_mean

_REFUSED = "{{ raise_exception('unknown role ' ~ message['role']) }}"
_FIRST = "{% if not loop.first %}{{ raise_exception('a system message must be the first one') }}{% endif %}"

# Prompts as the model families write them, without a system message unless the conversation has one. BOS
# comes before them where the tokenizer itself puts it before a text.
TEMPLATES: dict[str, str] = {
    "llama3": (
        "{% for message in messages %}"
        "{% if message['role'] not in ['system', 'user', 'assistant'] %}" + _REFUSED + "{% endif %}"
        "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
        "{{ message['content'] + '<|eot_id|>' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "qwen": (
        "{% for message in messages %}"
        "{% if message['role'] not in ['system', 'user', 'assistant'] %}" + _REFUSED + "{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "mistral": (  # which has no turn for a system message: it begins the first user's
        "{% set system = namespace(text='') %}"
        "{% for message in messages %}"
        "{% if message['role'] == 'system' %}" + _FIRST + "{% set system.text = message['content'] %}"
        "{% elif message['role'] == 'user' %}"
        "{{ '[INST] ' }}{% if system.text %}{{ system.text + '\n\n' }}{% set system.text = '' %}{% endif %}"
        "{{ message['content'] + '[/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
        "{% else %}" + _REFUSED + "{% endif %}"
        "{% endfor %}"
    ),
    "plain": (
        "{% for message in messages %}"
        "{% if message['role'] == 'system' %}" + _FIRST + "{{ message['content'] + '\n\n' }}"
        "{% elif message['role'] == 'user' %}"
        "{{ '### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}"
        "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + '\n\n' }}"
        "{% else %}" + _REFUSED + "{% endif %}"
        "{% endfor %}"
    ),
}

# Prompts to the letter as the authors of CC-Tuning trained and asked their models. Llama's are the family's.
TEMPLATES |= {
    "authors_llama": TEMPLATES["llama3"],
    "authors_qwen": (
        "{% if not messages or messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}" + TEMPLATES["qwen"]
    ),
    "authors_mistral": (  # the response stands directly behind the prompt
        "{% for message in messages %}"
        "{% if message['role'] == 'system' %}" + _FIRST + "{{ message['content'] }}"
        "{% elif message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
        "{% else %}" + _REFUSED + "{% endif %}"
        "{% endfor %}"
    ),
}

# No template at all: the text goes on where the prompt ends, as the authors of XTransplant ask.
RAW = "raw"
RAW_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}" + _FIRST + "{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] }}{{ eos_token }}"
    "{% else %}" + _REFUSED + "{% endif %}"
    "{% endfor %}"
)

_BOS = "{{ bos_token }}"
_NEEDED_TOKENS = {
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "qwen": ("<|im_start|>", "<|im_end|>"),
}
_NEEDED_TOKENS |= {"authors_llama": _NEEDED_TOKENS["llama3"], "authors_qwen": _NEEDED_TOKENS["qwen"]}

# Lines that were written before a template: arguments, and the macro of a fixed date.
_ARGUMENT = "{{%- set {name} = {value} %}}{{#- template_arguments.{name} #}}\n"
_WRITTEN = re.compile(
    r"\{%- set (\w+) = (.*) %\}\{#- template_arguments\.\w+ #\}\n"
    r"|\{%- macro strftime_now\(format\) -%\}.*\{%- endmacro %\}\n"
)


def choose_template(
    tokenizer: PreTrainedTokenizerBase, template: str = "auto", arguments: Mapping[str, Any] | None = None
) -> None:
    """Gives `tokenizer` the chat template that it will be saved with.

    `template`: one of `TEMPLATES`, the path of a Jinja file, or "auto": the tokenizer's own where it has one
    (instruct models), else plain (base models). `raw` adds nothing to what the tokenizer makes of
    a text: for asking only, since no token then marks the response start. `arguments` are variables that the
    template reads, such as `enable_thinking`. A template that writes today's date is given
    a fixed one (`template_dates`).

    Raises `ValueError` where the tokenizer lacks the template's special tokens, for an argument that the
    template does not read or that it has got another value for, and `FileNotFoundError` for a path without a
    file.
    """
    if template == "auto":
        text = tokenizer.chat_template or _built_in(tokenizer, "plain")
    elif template in TEMPLATES:
        text = _built_in(tokenizer, template)
    elif template == RAW:
        text = RAW_TEMPLATE
    elif Path(template).is_file():
        text = _read(Path(template))
    else:
        raise FileNotFoundError(f"template={template} is neither auto, {', '.join(TEMPLATES)} nor a file")
    tokenizer.chat_template = text
    for name, value in (arguments or {}).items():
        _set_argument(tokenizer, name, value)
    if writes_the_date(tokenizer):
        _replace(tokenizer, with_date(text_of(tokenizer)))


def _built_in(tokenizer: PreTrainedTokenizerBase, name: str) -> str:
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in _NEEDED_TOKENS.get(name, ()) if token not in vocabulary]
    if missing:
        raise ValueError(
            f"template={name} needs the tokens {', '.join(missing)}, which this tokenizer lacks; "
            "use template=plain, or the template of the model's own family"
        )
    return (_BOS if begins_with_bos(tokenizer) else "") + TEMPLATES[name]


def _read(path: Path) -> str:
    check_link(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"template={path} is not UTF-8 text, at byte {error.start}") from error
    if not text.strip():
        raise ValueError(f"template={path} is an empty file")
    return text


def _set_argument(tokenizer: PreTrainedTokenizerBase, name: str, value: Any) -> None:
    """Lets the template read `value` under `name`, whatever it is given later."""
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError(f"template_arguments.{name}={value!r} must be text, a number, true, false or null")
    written = "none" if value is None else json.dumps(value, ensure_ascii=False)  # as Jinja reads it
    known = _saved_arguments(text_of(tokenizer))
    if name in known:
        if known[name] != written:
            raise ValueError(
                f"template_arguments.{name}={value!r}: the template was saved with {known[name]}, which its "
                "model was trained with"
            )
        return
    names = arguments_of(tokenizer)
    if name not in names:
        listed = f"it reads {', '.join(names)}" if names else "it reads none"
        raise ValueError(
            f"template_arguments.{name} is no variable of the template{did_you_mean(name, names)}: {listed}"
        )
    _replace(tokenizer, _ARGUMENT.format(name=name, value=written) + text_of(tokenizer))


def _saved_arguments(template: str) -> dict[str, str]:
    """The arguments that `_set_argument` wrote before a template, as Jinja reads their values."""
    arguments: dict[str, str] = {}
    position = 0
    while match := _WRITTEN.match(template, position):
        if match[1]:
            arguments.setdefault(match[1], match[2])
        position = match.end()
    return arguments


def _replace(tokenizer: PreTrainedTokenizerBase, template: str) -> None:
    """Sets the template; of several by name the default one."""
    current = tokenizer.chat_template
    tokenizer.chat_template = {**current, "default": template} if isinstance(current, dict) else template
