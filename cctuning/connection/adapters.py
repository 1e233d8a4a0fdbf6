"""LoRA adapters and the connection: a pooling is trained in full beside them, and kept apart."""

import dataclasses
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME, WEIGHTS_NAME, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from cctuning.connection.connected import connection_of, is_of_connection
from cctuning.pretrained.four_bits import load_as_trained
from cctuning.pretrained.identity import check_same_base
from cctuning.pretrained.kinds import ModelError, check_whole, kind_of, read_json_object
from cctuning.pretrained.loading import from_library
from cctuning.pretrained.names import naming_model
from cctuning.pretrained.weights import NOT_READ, WeightsError, check_finite, read_tensors
from cctuning.settings.near_matches import did_you_mean

# What may be set in the configuration of an adapter that is loaded; the rest may name modules to import or
# ways to change the base model, and must be as by default.
_SETTINGS = (
    "alpha_pattern", "base_model_name_or_path", "bias", "exclude_modules", "fan_in_fan_out", "inference_mode",
    "layers_pattern", "layers_to_transform", "lora_alpha", "lora_bias", "lora_dropout", "r", "rank_pattern",
    "revision", "target_modules", "use_dora", "use_rslora",
)  # fmt: skip
_IGNORED = (
    "auto_mapping",
    "init_lora_weights",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "task_type",
)


def with_connection(peft_config: PeftConfig | None, model: Any) -> PeftConfig | None:
    """The adapter's configuration, with the connection's modules trained in full, not adapted or frozen."""
    connected = connection_of(model)
    if peft_config is None or connected is None or not connected.trained_modules:
        return peft_config
    modules = set(getattr(peft_config, "modules_to_save", None) or ())
    changes: dict[str, Any] = {"modules_to_save": sorted(modules | set(connected.trained_modules))}
    return dataclasses.replace(peft_config, **changes)


def make_plain_adapter(directory: str | Path) -> None:
    """Takes the pooling out of a saved adapter, so that it fits the base model without a warning.

    The connection's own files hold it. A checkpoint that training resumes from keeps it.
    """
    config_path, weights_path = Path(directory) / CONFIG_NAME, Path(directory) / SAFETENSORS_WEIGHTS_NAME
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["modules_to_save"] = [
        name for name in config["modules_to_save"] or () if not is_of_connection(f"{name}.")
    ] or None
    weights = {name: tensor for name, tensor in load_file(weights_path).items() if not is_of_connection(name)}
    save_file(weights, weights_path, metadata={"format": "pt"})
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def tied_modules(model: Any) -> list[str]:
    """The names of input embeddings and LM head where they are one matrix; empty where they are two."""
    given, taken = model.get_input_embeddings(), model.get_output_embeddings()
    if given is None or taken is None or given.weight is not taken.weight:
        return []
    return [name for name, module in model.named_modules() if module is given or module is taken]


def check_not_tied(adapted: PeftModel) -> None:
    """Raises `ModelError` for an adapter of a matrix that embeddings and LM head share.

    PEFT runs it on one of the two; merged, it would change both.
    """
    base = adapted.get_base_model()
    for name in tied_modules(base):
        if isinstance(base.get_submodule(name), BaseTunerLayer):
            raise ModelError(
                f"the adapter changes {name}, which shares its matrix with another module "
                "(tie_word_embeddings): merged, it would be another model than was trained. Train it without "
                "that module in target_modules, or on a base model that was untied first"
            )


def load_merged(directory: str | Path, *, trust_remote_code: bool = False, **kwargs: Any) -> Any:
    """The base model of the LoRA adapter in `directory`, with the adapter merged into it.

    A base that was quantised for the training (QLoRA) is what its four bits stand for. The pooling's weights,
    which are no part of the base model, are left out. `kwargs` go to `from_pretrained`. Raises `ModelError`
    or `WeightsError` for an adapter that is broken, of another kind, or more than an addition to its base
    model, or trained on another one, and `OSError` where that cannot be loaded.
    """
    directory = Path(directory)
    check_whole(directory)
    config = _lora_config(directory)
    tensors = _adapter_tensors(directory)
    _check_rank(config, tensors, directory)
    name = str(config.base_model_name_or_path)
    with naming_model(f"{directory / CONFIG_NAME}: base_model_name_or_path", name):
        options = {"revision": config.revision, "trust_remote_code": trust_remote_code, **kwargs}
        base = load_as_trained(directory, name, **options)
    check_same_base(directory, name, config.revision)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")  # an error of our own below
        adapted = from_library(lambda: PeftModel.from_pretrained(base, str(directory), config=config))
    differing = sorted(get_peft_model_state_dict(adapted).keys() ^ tensors.keys())
    if differing:
        raise ModelError(
            f"{directory / SAFETENSORS_WEIGHTS_NAME} does not belong to {CONFIG_NAME} and its base: only "
            f"one side has {differing[0]}"
        )
    check_not_tied(adapted)
    return adapted.merge_and_unload()


def base_of(directory: str | Path) -> tuple[str, str | None]:
    """Name and revision of the base model of the adapter in `directory`. Raises as `load_merged` does."""
    config = _lora_config(Path(directory))
    name = str(config.base_model_name_or_path)
    if kind_of(name).adapter:
        raise ModelError(
            f"{Path(directory) / CONFIG_NAME}: base_model_name_or_path={name}: it is an adapter itself, no "
            "base model: merge it into its own first"
        )
    return name, config.revision


def _lora_config(directory: Path) -> LoraConfig:
    path = directory / CONFIG_NAME
    settings = read_json_object(path)
    if settings.get("peft_type") != "LORA":
        raise ModelError(
            f"{path}: peft_type={settings.get('peft_type')!r} is not LORA: merge it into its base model"
        )
    if not isinstance(settings.get("base_model_name_or_path"), str):
        raise ModelError(f"{path} names no base model: base_model_name_or_path is missing")
    if settings.get("init_lora_weights") not in (None, True, False, "gaussian"):
        raise ModelError(
            f"{path}: init_lora_weights={settings['init_lora_weights']!r} changes the base model: merge it"
        )
    saved = settings.get("modules_to_save") or []
    if not isinstance(saved, list) or not all(isinstance(name, str) for name in saved):
        raise ModelError(f"{path}: modules_to_save={saved!r} must be a list of names")
    if others := sorted(name for name in set(saved) if not is_of_connection(f"{name}.")):
        raise ModelError(
            f"{path}: modules_to_save={others} is not supported, as it replaces weights of the base model: "
            "merge the adapter into it (merge_and_unload of PEFT), and name the merged model"
        )
    defaults = LoraConfig().to_dict()
    for name, value in settings.items():
        if name not in (*_SETTINGS, *_IGNORED) and value and value != defaults.get(name):
            raise ModelError(f"{path}: {name}={value!r} is not supported in an adapter that is loaded")
    kept = {name: value for name, value in settings.items() if name in _SETTINGS}
    return from_library(lambda: LoraConfig(task_type="CAUSAL_LM", **kept))


def _check_rank(config: LoraConfig, tensors: Mapping[str, Any], directory: Path) -> None:
    """Raises `ModelError` for a rank that no weight of the adapter has, before memory is taken for it."""
    held = {tensor.shape[0] for name, tensor in tensors.items() if re.search("lora_(embedding_)?A", name)}
    for rank in (config.r, *config.rank_pattern.values()):
        if not isinstance(rank, int) or (held and rank > max(held)):
            raise ModelError(
                f"{directory / CONFIG_NAME}: a rank of {rank!r}, and its weights have {sorted(held)}"
            )


def _adapter_tensors(directory: Path) -> dict[str, Any]:
    if not (directory / SAFETENSORS_WEIGHTS_NAME).is_file() and (directory / WEIGHTS_NAME).is_file():
        raise WeightsError(
            f"{directory} holds no {SAFETENSORS_WEIGHTS_NAME}, only {WEIGHTS_NAME}: {NOT_READ}"
        )
    tensors = read_tensors(directory / SAFETENSORS_WEIGHTS_NAME)
    tensors = {name: tensor for name, tensor in tensors.items() if not is_of_connection(name)}
    check_finite(tensors, directory / SAFETENSORS_WEIGHTS_NAME)
    return tensors


def check_target_modules(model: Any, names: Sequence[str]) -> None:
    """Raises `ValueError` for a name that no module of `model` ends in: PEFT would pass over it silently.

    So it does for a module whose matrix is shared, input embeddings and LM head in one (`check_not_tied`).
    """
    tied = tied_modules(model)
    endings = {ending for path, _ in model.named_modules() for ending in (path, path.rpartition(".")[2])}
    for name in names:
        if name not in endings and not any(path.endswith(f".{name}") for path, _ in model.named_modules()):
            raise ValueError(
                f"lora.target_modules: {type(model).__name__} has no module {name!r}"
                f"{did_you_mean(name, endings)}"
            )
        if any(path == name or path.endswith(f".{name}") for path in tied):
            raise ValueError(
                f"lora.target_modules: {name} shares its matrix with {' and '.join(tied)} "
                "(tie_word_embeddings), and an adapter of it could not be merged: leave it out, or untie the "
                "base model first"
            )
