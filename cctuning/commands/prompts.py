"""The prompts of a command, and what a user should know of them before anything is asked."""

from collections.abc import Callable, Mapping
from typing import Any

from cctuning.connection.model import load_model_config, load_model_generation_config
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.generation.rules import rules_applied, rules_note
from cctuning.pretrained.loading import load_tokenizer
from cctuning.pretrained.names import naming_model
from cctuning.tools.errors import shortened
from cctuning.training.runs import check_trusted

Say = Callable[[str], object]  # prints a line


def load_without_weights(name: str, *, trust_remote_code: bool, setting: str = "model") -> tuple[Any, Any]:
    """The tokenizer and the configuration of the model `name`, which `setting` names.

    Raises `ValueError` or `OSError` for a model that cannot be used.
    """
    check_trusted(name, trust_remote_code)
    with naming_model(setting, name):
        tokenizer = load_tokenizer(name, trust_remote_code=trust_remote_code)
        return tokenizer, load_model_config(name, trust_remote_code=trust_remote_code)


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
