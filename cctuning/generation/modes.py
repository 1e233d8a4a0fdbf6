"""Inference modes: where the connection comes from while a benchmark is asked."""

from typing import Any

from cctuning.connection.connected import connection_of
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import EXPORT_FOLDER, kind_of
from cctuning.pretrained.names import beside_model


def choose_mode(model: str, inference: str) -> str:
    """The mode to ask the model `model`, a folder or hub name, in: monolingual, bilingual, translated, none.

    It is `inference`; or for `auto` the one that needs one language only: an exported model is asked through
    its Transform Matrix, a plain one without connection. Raises `ValueError` where the model cannot be asked
    so, or where `auto` would have to guess.
    """
    kind = kind_of(model_folder(model))
    if inference == "auto":
        if kind.run:
            raise ValueError(
                f"{model} has a connection and no Transform Matrix: evaluate {export_of(model)}, or set "
                "inference=bilingual, translated or none"
            )
        return "monolingual" if kind.exported else "none"
    if inference != "none" and not kind.connected:
        raise ValueError(
            f"inference={inference} needs a connected model, and {model} is a plain one: set inference=none"
        )
    if inference == "monolingual" and not kind.exported:
        raise ValueError(
            f"inference=monolingual needs a Transform Matrix, and {model} has none: evaluate "
            f"{export_of(model)}"
        )
    return inference


def export_of(model: str) -> str:
    """The setting that names the export of a run, and what makes it, in words."""
    folder = beside_model(model, EXPORT_FOLDER)
    made = "" if kind_of(folder).exported else f", which cctuning fit model={model} makes"
    return f"model={folder}{made}"


def folder_name(run_name: str, mode: str, prompting: str) -> str:
    """The name of an evaluation's folder: no two ways to ask a model write to one."""
    return f"{run_name}-{mode}" if prompting == "original" else f"{run_name}-{mode}-{prompting}"


def set_mode(model: Any, mode: str) -> None:
    """Switches the connection off for the mode `none`, and on for all others."""
    connected = connection_of(model)  # whatever is around it
    if connected is not None:
        connected.connected = mode != "none"
