"""Licence of a base model, as its own card says: a model that is made from it goes under it."""

from pathlib import Path

import yaml
from huggingface_hub import hf_hub_download, metadata_load

from cctuning.pretrained.kinds import CARD_FILE

_KEYS = ("license", "license_name", "license_link")
_LONGEST = 200  # characters; a card may hold anything


def licence_of(model: str, *, revision: str | None = None) -> dict[str, str]:
    """What the card of a folder or hub name says under `license`, `license_name` and `license_link`.

    Empty where there is no card, it cannot be read, or the hub is not reached.
    """
    card: Path | str = Path(model, CARD_FILE)
    if Path(model).is_file():
        return {}
    try:
        if not Path(model).is_dir():
            card = hf_hub_download(model, CARD_FILE, revision=revision)
        known = metadata_load(card) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    texts = {key: known[key] for key in _KEYS if isinstance(known.get(key), str)}
    return {key: text for key, text in texts.items() if text.isprintable() and 0 < len(text) <= _LONGEST}
