"""The authors' published files: where each is, and downloads that have to stay what they were."""

from pathlib import Path

from cctuning.preparation.fetch import fetch
from cctuning.preparation.manifest import manifest_path, read_manifest
from cctuning.tools.files import sha256

REPOSITORY = "https://raw.githubusercontent.com/YYF-Tommy/CC-Tuning/{commit}"
COMMIT = "39f8995a312b2fe96d6e6013d7875ea60b63c9bf"
# Beside what is made of them; what starts with a dot is read as neither rows nor items.
DOWNLOADS = ".downloads"

# The names of models in recipes, and in the authors' files.
MODELS = {"llama31": "Llama-3.1-8B", "qwen25": "Qwen2.5-7B", "mistral": "Mistral-7B-v0.3"}
_TRAINING = {
    "base": "aya_train_mini_parallel",
    "en": "aya_train_mini_all_parallel",
    "mt": "aya_train_mini_add_mt_parallel",
    "sdrrl": "{model}_SDRRL_parallel",
}
SETTINGS = tuple(_TRAINING)


def training_file(setting: str, model: str | None = None) -> str:
    """The path in their repository of a setting's rows; `model`, a key of `MODELS`, is of `sdrrl` alone."""
    name = _TRAINING[setting].format(model=MODELS.get(model or "", ""))
    return f"Training/data/{name}.json"


def find_model(name: str) -> str:
    """The key of `MODELS` that a recipe's name, a hub name or the authors' name stands for.

    Raises `ValueError` for another model.
    """
    for key, title in MODELS.items():
        if name.rpartition("/")[2].lower() in (key, title.lower()):
            return key
    raise ValueError(f"--model {name!r} is not one of {', '.join(MODELS)} ({', '.join(MODELS.values())})")


def fetch_pinned(
    url: str, folder: Path, *, expected: str | None = None, media_url: str | None = None
) -> tuple[Path, bool, str]:
    """The file of an address under `folder`, whether it was there before, and its SHA-256.

    Where the manifest of `folder` knows the address, the file must have the checksum that stands there: what
    was made once of an address is never mixed with another version. `expected` is one that must be met
    instead. Raises `DownloadError`, and `ManifestError` for a manifest that cannot be read.
    """
    named_by = "expected is"
    if expected is None:
        expected, named_by = pinned(folder, url), f"{manifest_path(folder)} has from the first download"
    path, was_there = fetch(
        url, folder / DOWNLOADS, expected=expected, expected_by=named_by, media_url=media_url
    )
    return path, was_there, sha256(path)


def pinned(folder: Path, url: str) -> str | None:
    """The SHA-256 that the manifest of `folder` has for an address; None where it has none."""
    if not manifest_path(folder).exists():
        return None
    inputs = (entry for made in read_manifest(folder) for entry in made["inputs"])
    return next((entry["sha256"] for entry in inputs if entry.get("name") == url and "sha256" in entry), None)
