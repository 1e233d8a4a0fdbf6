"""Prompts that are the same tomorrow: templates that write today's date, or draw at random."""

import json
from datetime import datetime
from typing import Any

from cctuning.data.template_checks import render, text_of

# The day that stands in place of today's: the one that Llama 3.2's template falls back to.
DATE = datetime(2024, 7, 26)

_DAYS = (datetime(2001, 2, 3, 4, 5, 6), datetime(2032, 11, 28, 19, 47, 58))  # they differ in all their parts
_CODES = [f"%-{code}" for code in "dmyHIMSj"] + [f"%{code}" for code in "aAbBcdDeFHIjmMpSTuUVwWxXyYZz%"]
_MACRO = "{%- macro strftime_now(format) -%}"
_MESSAGES = [{"role": "user", "content": "a"}]
_RENDERINGS = 20  # among so many of a template that draws, two will differ


def with_date(template: str, day: datetime = DATE) -> str:
    """The template with `day` in place of today, in whatever form it asks for: a macro stands before it."""
    replacements = ((json.dumps(code), json.dumps(day.strftime(code))) for code in _CODES)
    filters = "".join(f"|replace({code}, {written})" for code, written in replacements)
    return f"{_MACRO}{{{{ format{filters} }}}}{{%- endmacro %}}\n{template}"


def date_is_fixed(tokenizer: Any) -> bool:
    """Whether `with_date` has been applied to the tokenizer's template."""
    return _MACRO in text_of(tokenizer)


def writes_the_date(tokenizer: Any) -> bool:
    """Whether tomorrow's prompts will be others."""
    text = text_of(tokenizer)
    if "strftime_now" not in text:
        return False
    on_days = (with_date(text, day) for day in _DAYS)
    return len({render(tokenizer, _MESSAGES, open_response=True, template=day) for day in on_days}) > 1


def check_repeatable(tokenizer: Any) -> None:
    """Raises `ValueError` for a template whose prompts depend on more than texts: on the date, on chance."""
    if writes_the_date(tokenizer):
        raise ValueError(
            "the chat template writes today's date into every prompt, which would be another one tomorrow: "
            "choose_template(tokenizer) puts a fixed date in its place"
        )
    if "random" in text_of(tokenizer):
        prompts = {render(tokenizer, _MESSAGES, open_response=True) for _ in range(_RENDERINGS)}
        if len(prompts) > 1:
            raise ValueError("the chat template draws at random what it writes into a prompt")
