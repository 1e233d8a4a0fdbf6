"""LoRA adapters and the connection: the Decision Maker is trained in full beside them, and kept apart."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftConfig
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, save_file

from cctuning.modeling_cctuning import CrossLingualConnection
from cctuning.nearest import did_you_mean

_NAME = "decision_maker"


def with_decision_maker(peft_config: PeftConfig | None, model: Any) -> PeftConfig | None:
    """The adapter's configuration, with the Decision Maker trained in full rather than adapted or frozen."""
    has_one = isinstance(model, CrossLingualConnection) and model.decision_maker is not None
    if peft_config is None or not has_one:
        return peft_config
    modules = set(getattr(peft_config, "modules_to_save", None) or ())
    changes: dict[str, Any] = {"modules_to_save": sorted(modules | {_NAME})}
    return dataclasses.replace(peft_config, **changes)


def make_plain_adapter(directory: str | Path) -> None:
    """Takes the Decision Maker out of a saved adapter, so that it fits the base model without a warning.

    The connection's own files hold it. A checkpoint that training resumes from keeps it.
    """
    config_path, weights_path = Path(directory) / CONFIG_NAME, Path(directory) / SAFETENSORS_WEIGHTS_NAME
    config = json.loads(config_path.read_text(encoding="utf-8"))
    config["modules_to_save"] = [name for name in config["modules_to_save"] or () if name != _NAME] or None
    weights = {name: tensor for name, tensor in load_file(weights_path).items() if _NAME not in name}
    save_file(weights, weights_path, metadata={"format": "pt"})
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


def check_target_modules(model: Any, names: Sequence[str]) -> None:
    """Raises `ValueError` for a name that no module of `model` ends in: PEFT would pass over it silently."""
    endings = {ending for path, _ in model.named_modules() for ending in (path, path.rpartition(".")[2])}
    for name in names:
        if name not in endings and not any(path.endswith(f".{name}") for path, _ in model.named_modules()):
            raise ValueError(
                f"lora.target_modules: {type(model).__name__} has no module {name!r}"
                f"{did_you_mean(name, endings)}"
            )
