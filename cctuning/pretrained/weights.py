"""Weights from files: safetensors only, which hold numbers and nothing to run; errors name the file."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

NOT_READ = "pickles may run code and are not read"
CONVERT = (
    f"{NOT_READ}. If you trust it, convert it once: "
    "AutoModelForCausalLM.from_pretrained(FROM).save_pretrained(TO)"
)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.bin.index.json")


class WeightsError(ValueError):
    """A file of weights that cannot be used; the message names it, and what to do."""


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `WeightsError` for another file, or a broken one."""
    check_floating(path)
    return load_file(path)


def check_file(path: str | Path) -> list[str]:
    """The names of a safetensors file's tensors. Raises `WeightsError` where it is missing, or none."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f"{path} is missing: the folder was not copied whole, or its making was interrupted"
        )
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (SafetensorError, OSError) as error:
        with path.open("rb") as opened:
            start = opened.read(2)
        if start == b"PK" or start[:1] == b"\x80":
            raise WeightsError(f"{path} is a pickle and no safetensors file: {NOT_READ}") from error
        raise WeightsError(f"{path} is no whole safetensors file: {error}") from error


def check_folder(folder: str | Path) -> None:
    """Raises `WeightsError` where a model's folder lacks whole weights as safetensors, all inside of it."""
    folder = Path(folder)
    if (folder / SAFE_WEIGHTS_NAME).is_file():
        check_file(folder / SAFE_WEIGHTS_NAME)
    elif (folder / SAFE_WEIGHTS_INDEX_NAME).is_file():
        first: dict[str, str] = {}
        for name, tensors in _shards(folder / SAFE_WEIGHTS_INDEX_NAME).items():
            held = check_file(folder / name)
            if twice := next((tensor for tensor in held if tensor in first), None):
                raise WeightsError(
                    f"{folder}: {twice} stands in {first[twice]} and in {name}: keep one of them"
                )
            first |= dict.fromkeys(held, name)
            if absent := sorted(set(tensors) - set(held)):
                raise WeightsError(
                    f"{folder / name} lacks {absent[0]}, which {SAFE_WEIGHTS_INDEX_NAME} promises"
                )
    else:
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        instead = f"only {pickles[0]}: {CONVERT}" if pickles else "nor any other weights"
        raise WeightsError(f"{folder} holds no {SAFE_WEIGHTS_NAME}, {instead}")


def shapes_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors in the safetensors files of a model's folder, by name; nothing is loaded."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            names = opened.keys()
            shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in names}
    return shapes


def check_floating(path: str | Path) -> None:
    """Raises `WeightsError` where a weight of a safetensors file, or of a model's folder, holds integers.

    Loading would cast them, and a model that was quantised says so in its configuration.
    """
    path = Path(path)
    for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
        check_file(file)
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no dictionary
                kind = opened.get_slice(name).get_dtype() if name.endswith("weight") else "F32"
                if kind.startswith(("I", "U", "BOOL")):
                    raise WeightsError(
                        f"{name} of {file} holds whole numbers ({kind}), and weights are floating-point "
                        f"numbers: it was quantised or damaged; take the model as it was trained"
                    )


def _shards(path: Path) -> dict[str, list[str]]:
    """The index at `path`: the tensors of each file."""
    try:
        places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        shards = {
            str(name): [tensor for tensor in places if places[tensor] == name] for name in places.values()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is no index of weights, a JSON object with a weight_map") from error
    for name in shards:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise WeightsError(f"{path}: {name!r} is no safetensors file in this folder")
    return shards


def check_finite(tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Raises `WeightsError` for the first tensor that holds NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.is_meta and not _is_finite(tensor):
            raise WeightsError(f"{name} of {source} holds NaN or infinity: its training diverged")


def _is_finite(tensor: Tensor) -> bool:
    # A sum needs no copy, unlike a look at each value; it may overflow, so only a finite one decides.
    return bool(tensor.sum(dtype=torch.float32).isfinite()) or bool(tensor.isfinite().all())
