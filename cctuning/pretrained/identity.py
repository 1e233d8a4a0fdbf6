"""Identity of a model, by the content of its files: the same for a copy, another where it was changed.

Every command compares this, and no path or time, before it goes on with what was made by a model.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from huggingface_hub import try_to_load_from_cache

from cctuning.pretrained.kinds import (
    ADAPTER_FILE,
    CONFIG_FILE,
    CONNECTION_FILE,
    CONNECTION_FOLDER,
    QUANTIZATION_FILE,
    ModelError,
    read_json_object,
)

# By part, the files that make it, as patterns in the folder. A run of an older version has the connection's
# files in the folder itself.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "weights": (
        "*.safetensors", f"{CONNECTION_FOLDER}/*.safetensors", "*.safetensors.index.json",
        "model.bin",  # CTranslate2's
    ),
    "config": (
        CONFIG_FILE, ADAPTER_FILE, QUANTIZATION_FILE, CONNECTION_FILE,
        f"{CONNECTION_FOLDER}/{CONNECTION_FILE}",
    ),
    "generation_config": ("generation_config.json",),
    "tokenizer": (
        "*token*", "vocab*", "merges*", "*.model", "shared_vocabulary*", "*.jinja",
        "additional_chat_templates/*.jinja",
    ),
    "code": ("*.py",),
}  # fmt: skip
ORIGIN_FILE = "origin.json"  # in a run's folder: `base_model`, the identity of what it was trained from
_WHOLE = 64 * 2**20  # bytes; of a larger file a sample is read
_BLOCK = 4096  # bytes
_BLOCKS = 256  # of a large file that is no safetensors file


def identity_of(model: str | Path, *, revision: str | None = None) -> dict[str, Any]:
    """The parts of `model`, a folder or a hub name, as JSON values; equal for equal models.

    Of a folder a digest of each part: weights, config, generation_config, tokenizer (with its chat template)
    and code. Of an adapter also `base`: the name in its configuration, and what that is. Of a hub name
    (`revision`: a branch, tag or commit) the commit that the local cache holds, so load from it first.

    Files are read whole up to 64 MiB. Of larger ones size and samples count, for a start must not read
    16 GB: of safetensors the header and 4 KiB at the beginning, middle and end of every tensor, which finds
    any other training, and not the change of a single number. Times and folder names do not count.
    """
    parts: dict[str, Any] = _content(str(model), revision)
    if (Path(model) / ADAPTER_FILE).is_file():
        config = read_json_object(Path(model) / ADAPTER_FILE)
        name = str(config.get("base_model_name_or_path"))
        # Its own base is not looked for: an adapter of an adapter is refused where it is loaded.
        parts["base"] = {"name": name, **_content(name, config.get("revision"))}
    return parts


def _content(model: str, revision: str | None) -> dict[str, Any]:
    path = Path(model)
    if path.is_file():  # GGUF: all parts in one
        return {"weights": _digest(path.parent, [path])}
    if path.is_dir():
        parts = {}
        for part, patterns in _PARTS.items():
            if files := sorted({file for name in patterns for file in path.glob(name) if file.is_file()}):
                parts[part] = _digest(path, files)
        return parts
    return {"name": model, "commit": _commit(model, revision)}


def model_name(model: str | Path, *, revision: str | None = None) -> str:
    """The name of a model with a digest of its `identity_of`, or of the commit of a hub name."""
    return _named(model, identity_of(model, revision=revision))


def model_settings(model: str | Path) -> dict[str, Any]:
    """The name and the parts of a model, as results keep them."""
    parts = identity_of(model)
    return {"model": _named(model, parts), "model_parts": parts}


def _named(model: str | Path, identity: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return f"{Path(model).name if Path(model).is_dir() else model}@{digest}"


def comparable(parts: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """An identity's `parts`, less what is known of only one of both, such as a commit without a cache."""
    return {
        part: comparable(value, others[part])
        if isinstance(value, Mapping) and isinstance(others.get(part), Mapping)
        else value
        for part, value in parts.items()
        if value is not None and (part not in others or others[part] is not None)
    }


def check_same_base(adapter: Path, base: str, revision: str | None) -> None:
    """Raises `ModelError` where `base` is not the model that the adapter in the folder was trained on.

    A folder that does not say so passes, and what only one of both has, such as a commit, is not compared.
    """
    trained_on = read_json_object(adapter / ORIGIN_FILE).get("base_model", {})
    now = identity_of(base, revision=revision) if trained_on else {}
    both = [part for part in ("weights", "config", "commit") if trained_on.get(part) and now.get(part)]
    changed = [part for part in both if trained_on[part] != now[part]]
    if changed:
        raise ModelError(
            f"{adapter} is an adapter, and {base} is another model than it was trained on "
            f"({', '.join(changed)}): put the base model back as it was, or train again"
        )


def _commit(name: str, revision: str | None) -> str | None:
    try:
        cached = try_to_load_from_cache(name, CONFIG_FILE, revision=revision)
    except ValueError:  # no name of the hub: where it is loaded, that is said
        return None
    return Path(cached).parent.name if isinstance(cached, str) else None


def _digest(folder: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            for block in _read(file):
                digest.update(block)
    return digest.hexdigest()[:16]


def _read(file: IO[bytes]) -> Iterator[bytes]:
    """The file's content, or a sample of a large one."""
    size = os.fstat(file.fileno()).st_size
    if size <= _WHOLE:
        yield file.read()
        return
    length = file.read(8)  # of a safetensors file: of the JSON before its tensors
    header = length + file.read(min(int.from_bytes(length, "little"), _WHOLE))
    yield header
    for start in _tensor_samples(header) or range(0, size, size // _BLOCKS):
        file.seek(start)
        yield file.read(_BLOCK)


def _tensor_samples(header: bytes) -> list[int]:
    """The places where the samples of a safetensors file begin; none for another file."""
    try:
        tensors = json.loads(header[8:])
        offsets = [entry["data_offsets"] for name, entry in tensors.items() if name != "__metadata__"]
        ends = [(len(header) + int(first), len(header) + int(last)) for first, last in offsets]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    return [
        start for first, last in ends for start in (first, (first + last) // 2, max(first, last - _BLOCK))
    ]
