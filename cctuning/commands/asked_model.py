"""A model with its prompts, ready to be asked."""

from collections.abc import Mapping
from typing import Any

import torch

from cctuning.commands.prompts import Say, choose_prompts, choose_rules, load_without_weights
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.pretrained.names import naming_model


def load_asked_model(
    name: str,
    *,
    template: str = "auto",
    template_arguments: Mapping[str, Any] | None = None,
    trust_remote_code: bool,
    dtype: str,
    use_cpu: bool,
    warn: Say,
) -> tuple[Any, PromptFormat]:
    """The model called `name`, connected where it can be and on the GPU where there is one, and its prompts.

    What may surprise in its template and its rules is said to `warn`. Raises `ValueError` or `OSError` for a
    model that cannot be used.
    """
    tokenizer, _ = load_without_weights(name, trust_remote_code=trust_remote_code)
    prompts = choose_prompts(tokenizer, template, template_arguments, warn=warn)
    choose_rules(name, prompts, trust_remote_code=trust_remote_code, warn=warn)
    with naming_model("model", name):
        model = load_model(name, dtype=dtype, trust_remote_code=trust_remote_code)
    if torch.cuda.is_available() and not use_cpu:
        model = model.to("cuda")
    return model, prompts
