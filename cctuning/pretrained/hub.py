"""Connected models on the hub: told by their files, fetched as a whole, and then used as folders are."""

import re
from functools import cache
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, snapshot_download

from cctuning.pretrained.kinds import (
    CONFIG_FILE,
    CONNECTION_FILE,
    CONNECTION_FOLDER,
    GGUF_SUFFIX,
    ModelError,
    read_json_object,
)

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_RUN_FILES = (f"{CONNECTION_FOLDER}/{CONNECTION_FILE}", CONNECTION_FILE)  # the second is an older version's
# What may lie in a run's folder beside its model.
_OTHERS = ["checkpoint-*/*", "monolingual/*", "evaluation/*", "probing/*", "*.bin", "*.pt", "*.pth"]


def may_be_on_hub(name: str) -> bool:
    """Whether `name` is no folder or file, and has the form of a name on the hub."""
    path = Path(name)
    here = path.exists() or path.suffix == GGUF_SUFFIX or (len(path.parts) > 1 and path.parent.is_dir())
    return not here and _HUB_NAME.fullmatch(name) is not None


def model_folder(name: str | Path) -> Path:
    """The folder of a model: `name` itself, or of a connected model on the hub its copy in the cache.

    A plain model on the hub has none here: its name comes back as it is. Without a connection the cache
    alone is looked into. Raises `ModelError` where a connected model cannot be fetched.
    """
    folder = _connected(str(name), constants.HF_HUB_CACHE) if may_be_on_hub(str(name)) else None
    return folder or Path(name)


@cache  # one commit for all that a process reads of a model
def _connected(name: str, hub_cache: str) -> Path | None:
    config = _file(name, CONFIG_FILE, hub_cache)
    exported = config is not None and "cctuning" in read_json_object(config)
    if not exported and not any(_file(name, file, hub_cache) for file in _RUN_FILES):
        return None
    try:
        return Path(snapshot_download(name, cache_dir=hub_cache, ignore_patterns=_OTHERS))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{name} is a connected model on the hub, and not all of it came: try again, or name the folder "
            f"that hf download {name} --local-dir FOLDER makes ({error})"
        ) from error


def _file(name: str, file: str, hub_cache: str) -> Path | None:
    """A file of a model on the hub; None where there is none, or no such model."""
    try:
        return Path(hf_hub_download(name, file, cache_dir=hub_cache))
    except (OSError, ValueError):
        return None
