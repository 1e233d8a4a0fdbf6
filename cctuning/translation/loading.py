"""Translators by kind and model, as recipes and scripts name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cctuning.settings.near_matches import did_you_mean
from cctuning.translation.existing import ExistingTranslations
from cctuning.translation.translator import TranslationError, Translator

if TYPE_CHECKING:
    import torch

ENGINES = ("hf", "vllm")
KINDS = ("nllb", "madlad", "ctranslate2", "file", "self")


def load_translator(
    kind: str,
    *,
    model: str,
    beam_size: int = 1,
    batch_size: int = 16,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device | None = None,
    template: str = "auto",
    template_arguments: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
    engine: str = "hf",
    engine_arguments: Mapping[str, Any] | None = None,
) -> Translator:
    """A translator of one of `KINDS`.

    Args:
        kind: `nllb` and `madlad`, models of transformers; `ctranslate2`, one of them converted; `file`,
            translations that exist; `self`, a language model, of a LoRA run the base.
        model: a folder or a hub name; for `file` the file.
        beam_size: 1 is greedy.
        batch_size: texts or sentences at a time.
        dtype: of the weights; for `ctranslate2` its `compute_type`.
        device: where it runs; None: on the GPU where there is one.
        template: of `self`, the chat template, as `choose_template` takes it.
        template_arguments: of `self`, its variables, likewise.
        trust_remote_code: of `self`, run code of its folder.
        engine: of `self`, one of `ENGINES`: transformers, or vLLM, which asks greedily.
        engine_arguments: of vLLM's `LLM`.

    Raises `TranslationError` for another kind, `OSError` or `ValueError` for a model or file that cannot be
    used, and `ImportError` where a package is missing.
    """
    if engine != "hf" and (kind != "self" or beam_size != 1):
        raise TranslationError(f"engine={engine} is for the translator self, greedily (beam_size=1)")
    if kind == "file":
        return ExistingTranslations(model)
    if kind not in KINDS:
        raise TranslationError(
            f"translator {kind!r} is not one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}"
        )
    from cctuning.translation import models  # imported here: torch and transformers come with it

    options: dict[str, Any] = {"beam_size": beam_size, "batch_size": batch_size}
    place = models.device_of(device)
    if kind == "self":
        return models.language_model(
            model,
            place,
            (template, template_arguments),
            options,
            in_vllm=None if engine == "hf" else engine_arguments or {},
            dtype=dtype,
            trust_remote_code=trust_remote_code,
        )
    if kind == "ctranslate2":
        return models.converted_model(model, place, str(dtype), options)
    return models.transformers_model(kind, model, place, dtype, options)
