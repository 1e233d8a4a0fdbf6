"""Rules of choosing tokens and of ending a response, the same for all that ask a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import GenerationConfig

from cctuning.data.prompts import PromptFormat
from cctuning.pretrained.generation_config import end_tokens, greedy, make_savable, passed_over, penalties

# Of models that are made to be sampled from, which is no surprise.
_SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "min_p")


def stop_tokens(model: Any, prompts: PromptFormat) -> list[int]:
    """The tokens that end a response: the template's, and those that the model came with."""
    return _ends(model.generation_config, prompts)


def _ends(config: GenerationConfig, prompts: PromptFormat) -> list[int]:
    return sorted({prompts.stop_token_id, *end_tokens(config)})


def greedy_rules(model: Any, prompts: PromptFormat, **settings: Any) -> GenerationConfig:
    """Greedy decoding of a response, with the model's own end tokens and penalties; `settings` decide."""
    ends = {"eos_token_id": stop_tokens(model, prompts), "pad_token_id": prompts.pad_token_id}
    return greedy(model.generation_config, **ends | settings)


def rules_applied(config: GenerationConfig, prompts: PromptFormat) -> dict[str, Any]:
    """The rules that decide about answers beside the logits, as results hold them; `config`: the model's."""
    return {"eos_token_id": _ends(config, prompts), **penalties(config), "passed_over": passed_over(config)}


def rules_note(config: GenerationConfig) -> str:
    """A sentence where a model's configuration asks for something unusual; "" where it does not."""
    applied = ", ".join(f"{name}={value}" for name, value in penalties(config).items())
    names = [name for name in passed_over(config) if not (config.do_sample and name in _SAMPLING)]
    notes = [f"generation_config.json sets {applied}, which is applied"] if applied else []
    if names:
        notes.append(f"{', '.join(names)} of generation_config.json are passed over: decoding is greedy")
    return "; ".join(notes)


@contextmanager
def generating_by(model: Any, rules: GenerationConfig) -> Iterator[None]:
    """A block in which `generate` goes by `rules` alone: it fills gaps with what the model came with."""
    models = [model, *([model.get_base_model()] if hasattr(model, "get_base_model") else [])]
    before = [part.generation_config for part in models]
    try:
        for part in models:
            part.generation_config = rules
        yield
    finally:
        for part, config in zip(models, before, strict=True):
            part.generation_config = config


def prepare_to_save(config: GenerationConfig, prompts: PromptFormat) -> list[str]:
    """Makes what a model is saved with stop at the trained stop token, and pad with a token that exists.

    Returns the settings that it could not be saved with, sorted; they are left out.
    """
    stops = _ends(config, prompts)
    config.eos_token_id = stops if len(stops) > 1 else stops[0]
    config.pad_token_id = prompts.pad_token_id
    return make_savable(config)
