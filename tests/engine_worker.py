"""One of the processes that run train.py under an engine, as a launcher would start it; see tests/engines.py.

Usage: accelerate launch ... engine_worker.py JOBS.json. Several runs in one process save the imports.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType

import train
from cctuning import modeling_cctuning
from cctuning.modeling_cctuning import select
from tests.scripts import call


def main() -> None:
    """Runs the jobs of a file, each with its environment; leaves how they ended beside it."""
    path = Path(sys.argv[1])
    rank = int(os.environ.get("RANK", 0))
    ended = []
    for job in json.loads(path.read_text()):
        ended.append(run(job))
        AcceleratorState._reset_state(reset_partial_state=True)
        torch.distributed.is_initialized() and torch.distributed.barrier()
    path.with_suffix(f".{rank}.json").write_text(json.dumps(ended))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One training run: its exit status and what it printed."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, job["environment"]))
        if "ACCELERATE_USE_FSDP" in job["environment"]:
            stack.enter_context(gloo_as_if_on_gpus())
        if not job["noise"]:
            noiseless = functools.partial(_without_noise)
            stack.enter_context(mock.patch.object(modeling_cctuning, "select", noiseless))
        ended = call(train, *job["arguments"])
    return {"status": ended.status, "out": ended.out, "err": ended.err}


def _without_noise(logits: torch.Tensor, *, noise: bool, **options: Any) -> torch.Tensor:
    return select(logits, noise=False, **options)


def gloo_as_if_on_gpus() -> Any:
    """On CPUs accelerate takes an FSDP configuration for DDP; it looks at nothing but this type."""
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    backend = ("gloo", DistributedType.MULTI_GPU)
    return mock.patch.object(PartialState, "_prepare_backend", lambda *_: backend)


if __name__ == "__main__":
    main()
