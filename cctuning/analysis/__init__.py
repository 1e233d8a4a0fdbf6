"""XTransplant and what else looks into models; nothing else of the package imports it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cctuning.analysis.question.xtransplant import XTransplant

__all__ = ["XTransplant"]


def __getattr__(name: str) -> Any:
    # Imported on first use: measures of saved cells need no model.
    if name not in __all__:
        raise AttributeError(f"module 'cctuning.analysis' has no attribute {name!r}")
    return importlib.import_module("cctuning.analysis.question.xtransplant").XTransplant
