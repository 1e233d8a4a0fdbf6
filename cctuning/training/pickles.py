"""Imports of a checkpoint's pickles, known without unpickling them.

Models are read from safetensors only. A run's own checkpoints hold pickles: optimizer, schedule and random
states, under FSDP2 and DeepSpeed the weights too. A pickle names functions, and reading it calls them.
"""

import os
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

_SUFFIXES = (".pt", ".pth", ".bin")  # of what the Trainer, accelerate and DeepSpeed unpickle
_SHARDED = (".metadata", ".distcp")  # of torch.distributed.checkpoint
_LATEST = "latest"  # DeepSpeed's: the name of the folder that it reads

# Beyond what torch itself takes for harmless (tensors and plain containers): the random numbers' state, as in
# transformers' `safe_globals`, and DeepSpeed's, none of which does more than hold values.
_NUMPY = (
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.dtypes.UInt32DType",
)
_DEEPSPEED = (
    "deepspeed.runtime.fp16.loss_scaler.LossScaler",
    "deepspeed.runtime.zero.config.ZeroStageEnum",
    "deepspeed.utils.tensor_fragment.fragment_address",
)
_ALLOWED = frozenset((*_NUMPY, *_DEEPSPEED))
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


class UnsafePickleError(ValueError):
    """A checkpoint that would run what it has no business to; the message names the file and the function."""


def check_pickles(folder: str | Path) -> None:
    """Raises `UnsafePickleError` where a pickle under `folder`, a checkpoint, names more than it needs.

    Call it before anything is loaded from there, then load inside of `restricted_loading`. Nothing is
    unpickled or imported here. Refused are: functions and classes that are not on the lists above; files that
    are no zip of `torch.save`, since only those can be looked through; sharded checkpoints of
    torch.distributed, which torch reads without any limit; linked folders; and a `latest` that leads out of
    the checkpoint.
    """
    folder = Path(folder)
    for parent, folders, files in os.walk(folder):
        for name in folders:
            if (Path(parent) / name).is_symlink():
                raise UnsafePickleError(f"{Path(parent) / name} is a link to a folder: copy the files there")
        for name in files:
            _check_file(Path(parent) / name)
    _check_latest(folder)


def _check_file(path: Path) -> None:
    if path.name.lower().endswith(_SHARDED):
        raise UnsafePickleError(
            f"{path} is part of a sharded checkpoint, which torch reads by unpickling whatever is in it: "
            "write full ones, with fsdp_state_dict_type: FULL_STATE_DICT"
        )
    if path.name.lower().endswith(_SUFFIXES) and (foreign := foreign_globals(path)):
        raise UnsafePickleError(
            f"{path} is a pickle that calls {', '.join(foreign)}, which no checkpoint of ours does. "
            "Nothing of it was run; do not load this file by other means either"
        )


def foreign_globals(path: str | Path) -> list[str]:
    """The functions and classes that a file of `torch.save` names beyond the allowed ones, sorted.

    Raises `UnsafePickleError` for a file that cannot be looked through.
    """
    try:
        named = get_unsafe_globals_in_checkpoint(str(path))
    except Exception as error:  # of any kind: the file is whatever somebody made of it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnsafePickleError(f"{path} is not as torch.save writes it: {reason}") from error
    return sorted(set(named) - _ALLOWED)


def _check_latest(folder: Path) -> None:
    path = folder / _LATEST
    if path.is_file():
        name = path.read_text(encoding="utf-8", errors="replace").strip()
        if name not in [entry.name for entry in folder.iterdir() if entry.is_dir()]:
            raise UnsafePickleError(f"{path} names {name!r}, which is no folder of this checkpoint")


@contextmanager
def restricted_loading(*, deepspeed: bool = False) -> Iterator[None]:
    """A block in which every `torch.load` takes the restricted unpickler, whatever its caller asks for.

    `deepspeed`, which asks for the unrestricted one: make the classes of its checkpoints known to torch.
    """
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        with safe_globals([pkgutil.resolve_name(name) for name in _DEEPSPEED] if deepspeed else []):
            yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before
