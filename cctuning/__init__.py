"""CC-Tuning: fine-tuning language models with a cross-lingual connection to English."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cctuning.connection.model import CCTuningModel
    from cctuning.connection.modeling_cctuning import ConnectionConfig
    from cctuning.training.trainer import CCTuningTrainer

__all__ = ["CCTuningModel", "CCTuningTrainer", "ConnectionConfig", "__version__"]
__version__ = "0.1.0"

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL counts its users otherwise

_HOMES = {
    "CCTuningModel": "cctuning.connection.model",
    "CCTuningTrainer": "cctuning.training.trainer",
    "ConnectionConfig": "cctuning.connection.modeling_cctuning",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: reading rows or a recipe should not wait for torch and trl.
    if name not in _HOMES:
        raise AttributeError(f"module 'cctuning' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
