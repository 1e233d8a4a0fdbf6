"""Translators by kind and model, as recipes and scripts name them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from cctuning.adapters import base_of
from cctuning.extras import extra
from cctuning.loading import ADAPTER_FILE, load_causal_lm, load_seq2seq_lm, load_tokenizer
from cctuning.model_names import naming_model
from cctuning.nearest import did_you_mean
from cctuning.prompts import PromptFormat, choose_template
from cctuning.translation.existing import ExistingTranslations
from cctuning.translation.families import family_of
from cctuning.translation.language_model import LanguageModelTranslator
from cctuning.translation.translator import TranslationError, Translator

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
    trust_remote_code: bool = False,
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
        trust_remote_code: of `self`, run code of its folder.

    Raises `TranslationError` for another kind, `OSError` or `ValueError` for a model or file that cannot be
    used, and `ImportError` where a package is missing.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    options: dict[str, Any] = {"beam_size": beam_size, "batch_size": batch_size}
    if kind == "file":
        return ExistingTranslations(model)
    if kind == "self":
        return _language_model(
            model, place, template, options, dtype=dtype, trust_remote_code=trust_remote_code
        )
    if kind in ("nllb", "madlad"):
        return _transformers_model(kind, model, place, dtype, options)
    if kind == "ctranslate2":
        return _converted_model(model, place, str(dtype), options)
    raise TranslationError(f"translator {kind!r} is not one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")


def _language_model(
    directory: str, device: torch.device, template: str, options: dict[str, Any], **loading: Any
) -> LanguageModelTranslator:
    trust = {"trust_remote_code": loading["trust_remote_code"]}
    with naming_model("translator.model", directory):
        tokenizer = load_tokenizer(directory, **trust)
    choose_template(tokenizer, template)
    name, revision = directory, None
    if (Path(directory) / ADAPTER_FILE).is_file():
        name, revision = base_of(directory)
    with naming_model("translator.model", name):
        model = load_causal_lm(name, revision=revision, **loading).eval().to(device)
    return LanguageModelTranslator(model, PromptFormat(tokenizer), model_name=model_name(name), **options)


def _transformers_model(
    kind: str, directory: str, device: torch.device, dtype: str | torch.dtype, options: dict[str, Any]
) -> Translator:
    with extra("data"):
        from cctuning.translation.seq2seq import Seq2SeqTranslator, TransformersEngine
    with naming_model("translator.model", directory):
        family = family_of(load_tokenizer(directory))
        if family.name != kind:
            raise TranslationError(f"it is a model of {family.name}, and not of {kind}")
        model = load_seq2seq_lm(directory, dtype=dtype).eval().to(device)
    name = f"{model_name(directory)}:{str(model.dtype).removeprefix('torch.')}"
    return Seq2SeqTranslator(TransformersEngine(model), family, model_name=name, **options)


def _converted_model(
    folder: str, device: torch.device, compute_type: str, options: dict[str, Any]
) -> Translator:
    with extra("data"):
        from cctuning.translation.converted import CTranslate2Engine
        from cctuning.translation.seq2seq import Seq2SeqTranslator
    if not (Path(folder) / "model.bin").is_file():
        raise TranslationError(
            f"translator.model={folder} holds no model.bin of CTranslate2: convert a model with "
            "ct2-transformers-converter (docs/translation.md)"
        )
    with naming_model("translator.model", folder):
        tokenizer = load_tokenizer(folder)
        family = family_of(tokenizer)
    engine = CTranslate2Engine(folder, tokenizer, device=device.type, compute_type=compute_type)
    name = f"{model_name(folder)}:ctranslate2:{engine.compute_type}"
    return Seq2SeqTranslator(engine, family, model_name=name, **options)


def model_name(model: str) -> str:
    """The name of a model with, of a folder, a digest that changes when its files do.

    The digest is made of the files' names, sizes and times, since weights take long to read.
    """
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".json", ".safetensors", ".bin", ".model"):
            found = path.stat()
            digest.update(f"{path.name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return f"{folder.name}@{digest.hexdigest()[:12]}"
