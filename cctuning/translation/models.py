"""The models among the translators, loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cctuning.connection.adapters import base_of
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.identity import model_name
from cctuning.pretrained.kinds import kind_of
from cctuning.pretrained.loading import load_causal_lm, load_seq2seq_lm, load_tokenizer
from cctuning.pretrained.names import naming_model
from cctuning.tools.extras import extra
from cctuning.translation.families import family_of
from cctuning.translation.language_model import LanguageModelTranslator
from cctuning.translation.translator import TranslationError, Translator


def device_of(device: str | torch.device | None) -> torch.device:
    """`device`, or where it is None the GPU if there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def language_model(
    directory: str,
    device: torch.device,
    template: tuple[str, Mapping[str, Any] | None],
    options: dict[str, Any],
    in_vllm: Mapping[str, Any] | None,
    **loading: Any,
) -> LanguageModelTranslator:
    """The language model in `directory`, of a LoRA run its base, asked in a chat template with arguments.

    A run without adapters and an exported model are loaded with their connection. The model runs on
    `device`, or in vLLM where arguments of its engine are given (`in_vllm`).
    """
    trust = {"trust_remote_code": loading["trust_remote_code"]}
    with naming_model("translator.model", directory):
        tokenizer = load_tokenizer(directory, **trust)
    choose_template(tokenizer, *template)
    name, revision = directory, None
    folder = model_folder(directory)
    if kind_of(folder).adapter:
        name, revision = base_of(folder)
    with naming_model("translator.model", name):
        connected = name == directory and kind_of(folder).connected
        if in_vllm is None and connected:
            model = load_model(directory, **loading).to(device)
        elif in_vllm is None:
            model = load_causal_lm(name, revision=revision, **loading).eval().to(device)
        else:
            from cctuning.serving.vllm.asking import check_servable, load_in_vllm

            loading["dtype"] = str(loading["dtype"]).removeprefix("torch.")
            mode = "bilingual" if connected else "none"
            if connected:
                check_servable(name, mode)
            model = load_in_vllm(name, mode, revision=revision, arguments=in_vllm, **loading)
    named = model_name(name, revision=revision)
    return LanguageModelTranslator(model, PromptFormat(tokenizer), model_name=named, **options)


def transformers_model(
    kind: str, directory: str, device: torch.device, dtype: str | torch.dtype, options: dict[str, Any]
) -> Translator:
    """NLLB or MADLAD as transformers runs it. Raises `TranslationError` for a model of another family."""
    with extra("translation"):
        from cctuning.translation.seq2seq import Seq2SeqTranslator, TransformersEngine
    with naming_model("translator.model", directory):
        family = family_of(load_tokenizer(directory))
        if family.name != kind:
            raise TranslationError(f"it is a model of {family.name}, and not of {kind}")
        model = load_seq2seq_lm(directory, dtype=dtype).eval().to(device)
    name = f"{model_name(directory)}:{str(model.dtype).removeprefix('torch.')}"
    return Seq2SeqTranslator(TransformersEngine(model, family.tokenizer), family, model_name=name, **options)


def converted_model(
    folder: str, device: torch.device, compute_type: str, options: dict[str, Any]
) -> Translator:
    """NLLB or MADLAD as CTranslate2 runs it. Raises `TranslationError` for a folder of something else."""
    with extra("translation"):
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
