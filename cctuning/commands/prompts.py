"""The prompts of a command, and what a user should know of them before anything is asked."""

from collections.abc import Callable, Mapping
from typing import Any

from cctuning.connection.model import load_model_generation_config
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.generation.rules import rules_applied, rules_note
from cctuning.pretrained.names import naming_model
from cctuning.tools.errors import shortened

Say = Callable[[str], object]  # prints a line


def choose_prompts(
    tokenizer: Any, template: str, arguments: Mapping[str, Any] | None = None, *, warn: Say
) -> PromptFormat:
    """The prompts of a tokenizer in a template; what may surprise in them is said.

    Raises what `choose_template` and `PromptFormat` raise.
    """
    choose_template(tokenizer, template, arguments)
    prompts = PromptFormat(tokenizer)
    for note in prompts.notes:
        warn(shortened(note))
    return prompts


def choose_rules(
    model: str, prompts: PromptFormat, *, trust_remote_code: bool = False, warn: Say
) -> dict[str, Any]:
    """The rules that decide about answers beside the logits; prints what else the model's files ask for.

    Raises `ValueError` for an end token or a penalty that is none.
    """
    with naming_model("model", model):
        config = load_model_generation_config(model, trust_remote_code=trust_remote_code)
    if note := rules_note(config):
        warn(note)
    return rules_applied(config, prompts)
