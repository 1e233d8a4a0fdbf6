"""Kind of model that a folder holds, by its files alone: nothing is loaded, and torch is not needed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cctuning.tools.marks import missing_mark

CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
ADAPTER_FILE = "adapter_config.json"
QUANTIZATION_FILE = "quantization_config.json"  # beside an adapter: how its base was, in four bits
CONNECTION_FOLDER = "connection"  # in a run's folder, which is else a plain checkpoint
CONNECTION_FILE = "connection.json"
EXPORT_FOLDER = "monolingual"  # in a run's folder, the export that a fit makes of it by default
GGUF_SUFFIX = ".gguf"  # of a file that holds a model by itself: weights, configuration and tokenizer


class ModelError(ValueError):
    """A model that cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class ModelKind:
    """Kinds of a folder besides a plain checkpoint; all false for a plain one, and for what is no folder.

    Of a name on the hub ask `hub.model_folder` for the folder first.
    """

    run: bool  # of CC-Tuning: holds the connection that was trained, which needs English prompts
    exported: bool  # a monolingual model: holds the connection and its Transform Matrix
    adapter: bool  # LoRA: holds no weights of its base model, whether it is a run of CC-Tuning or not

    @property
    def connected(self) -> bool:
        """Whether the model has a connection."""
        return self.run or self.exported


def kind_of(folder: str | Path) -> ModelKind:
    """The kind of the model in `folder`. Raises `ModelError` where its config.json is no JSON object."""
    folder = Path(folder)
    run = (connection_folder(folder) / CONNECTION_FILE).is_file()
    return ModelKind(
        run=run,
        exported=not run and "cctuning" in read_json_object(folder / CONFIG_FILE),
        adapter=(folder / ADAPTER_FILE).is_file(),
    )


def connection_folder(folder: str | Path) -> Path:
    """The folder of the connection's files in a run's `folder`; that itself where an older version wrote it.

    There they lay beside the weights, and who reads all `*.safetensors` took them for some of the model's.
    """
    folder = Path(folder)
    inner = folder / CONNECTION_FOLDER
    older = (folder / CONNECTION_FILE).is_file() and not (inner / CONNECTION_FILE).is_file()
    return folder if older else inner


def holds_model(folder: str | Path) -> bool:
    """Whether there is a model of any kind in `folder`, as far as its configuration says."""
    return any((Path(folder) / name).is_file() for name in (CONFIG_FILE, ADAPTER_FILE))


def check_whole(folder: str | Path) -> None:
    """Raises `ModelError` for a folder that a training or a fit has begun to write, and not finished."""
    if mark := missing_mark(folder):
        raise ModelError(
            f"{folder} was not written to its end ({mark[:80]} is missing): give the command that writes it "
            "again"
        )


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none. Raises `ModelError` for other content."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object but {type(content).__name__}")
    return content


def check_link(path: Path) -> None:
    """Raises `ModelError` for a template that is a link to a file of another kind.

    Its text would be shown, and saved with every model that is made with it.
    """
    real, place = path.resolve(), path.parent.resolve()
    in_cache = real.parent.name == "blobs" and real.parent.parent in place.parents  # the hub's own links
    if real.suffix != path.suffix and not in_cache:
        raise ModelError(f"{path} is a link to {real}, which is no template: put the template itself there")
