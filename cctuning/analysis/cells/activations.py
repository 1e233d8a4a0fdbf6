"""Activations that were moved, and those that they replaced, by cell, for probes to learn from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cctuning.analysis.cells.store import CellsError
from cctuning.tools.files import whole


class Activations(NamedTuple):
    """Sub-layer outputs of questions at the response start: of the source prompts and of the target ones."""

    source: NDArray[np.float32]  # (Q, L, d)
    target: NDArray[np.float32]  # (Q, L, d)


def activations_path(cells: Path) -> Path:
    """The file that belongs to a file of cells: it lies under `activations` as that lies under `cells`.

    Apart from them, so that any folder of cells can be read as one Parquet data set.
    """
    above = len(cells.parts) - 1 - cells.parts[::-1].index("cells")
    return Path(*cells.parts[:above], "activations", *cells.parts[above + 1 :]).with_suffix(".safetensors")


def write_activations(path: Path, by_id: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Writes the source and target activations of questions, (L, d) each, by id, in bfloat16.

    The file is whole or not there. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{id}.{name}": tensor.to("cpu", torch.bfloat16, copy=True).contiguous()
        for id, pair in by_id.items()
        for name, tensor in zip(Activations._fields, pair, strict=True)
    }
    with whole(path) as part:
        save_file(tensors, part)


def read_activations(paths: Sequence[Path], questions: Sequence[str]) -> Activations:
    """The activations of questions, in their order, out of some files.

    Raises `CellsError` for a file that cannot be read, and for a question that is in none of them.
    """
    tensors: dict[str, NDArray[np.float32]] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                tensors |= {name: file.get_tensor(name).float().numpy() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CellsError(
                f"{path} cannot be read ({error}). Take away the file of its cells, which lies under cells "
                "as this one does under activations, and both are made again"
            ) from error
    missing = [id for id in questions if f"{id}.source" not in tensors or f"{id}.target" not in tensors]
    if missing:
        raise CellsError(
            f"no activations of question {missing[0]} in {paths[0].parent if paths else 'files'}"
        )
    return Activations(
        *(np.stack([tensors[f"{id}.{name}"] for id in questions]) for name in Activations._fields)
    )
