"""One of the processes that run train.py under an engine; `engine_runs.py` starts them.

Usage: accelerate launch --config_file recipes/accelerate/ddp.yaml engine_worker.py JOBS.json
Several runs in one process save the time of imports.
"""

import functools
import gc
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from accelerate import PartialState
from accelerate.commands.launch import launch_command, launch_command_parser
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch.nn import functional
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from cctuning.commands import train_model as train
from cctuning.connection import modeling_cctuning
from cctuning.connection.modeling_cctuning import select
from tests.drafts import figures_as_drafts
from tests.scripts import call

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Runs the jobs of a file; each process leaves beside it how its runs ended."""
    gc.freeze()  # as in tests/conftest.py
    path = Path(sys.argv[1])
    ended = []
    for job in json.loads(path.read_text()):
        with environment_of(job["engine"]):
            ended.append(run(job))
            forget_engine()
        if ended[-1]["status"]:
            break  # the others may wait for this process in vain
    path.with_suffix(f".{os.environ['RANK']}.json").write_text(json.dumps(ended))


def forget_engine() -> None:
    """What accelerate and transformers keep of a run would be there for the next one."""
    AcceleratorState._reset_state(reset_partial_state=True)
    unset_hf_deepspeed_config()


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One training run: its exit status, what it printed, and the random state of its first Gumbel noise."""
    states: list[list[int]] = []

    def recorded(*args: Any, **kwargs: Any) -> torch.Tensor:
        states.append(torch.get_rng_state().tolist())
        return functional_gumbel_softmax(*args, **kwargs)

    with ExitStack() as stack:
        stack.enter_context(figures_as_drafts())
        stack.enter_context(mock.patch.object(functional, "gumbel_softmax", recorded))
        if not job.get("noise"):
            stack.enter_context(mock.patch.object(modeling_cctuning, "select", without_noise))
        ended = call(train, *(f"{key}={value}" for key, value in job["settings"].items()))
    return {"status": ended.status, "err": ended.err, "random_state": states[:1]}


functional_gumbel_softmax = functional.gumbel_softmax


def without_noise(logits: torch.Tensor, *, noise: bool, **options: Any) -> torch.Tensor:
    """The Decision Maker's choice with the noise that a row meets under every engine: none."""
    return select(logits, noise=False, **options)


@contextmanager
def quick_builds() -> Iterator[None]:
    """Inside, DeepSpeed compiles its optimizer for CPUs as fast as it can, and no operator for inference."""
    from deepspeed.ops.op_builder import CPUAdamBuilder

    flags = CPUAdamBuilder.cxx_args
    with (
        mock.patch.object(CPUAdamBuilder, "cxx_args", lambda self: [*flags(self), "-O0", "-g0"]),
        mock.patch("deepspeed.comm.torch.build_shm_op", lambda: None),
    ):
        yield


@functools.cache
def launcher_variables(config: str) -> dict[str, str]:
    """What `accelerate launch` puts into the environment for a file of recipes/accelerate."""
    seen: dict[str, str] = {}
    file = str(ROOT / f"recipes/accelerate/{config}.yaml")
    words = ["--config_file", file, "--num_processes", "2", "--main_process_port", "0", "train.py"]
    with mock.patch("torch.distributed.run.run", lambda _: seen.update(os.environ)):
        launch_command(launch_command_parser().parse_args(words))
    return {name: value for name, value in seen.items() if os.environ.get(name) != value}


def environment_of(engine: str) -> Any:
    """Inside, this process is one that was launched for `engine`."""
    if engine == "ddp":
        return nullcontext()  # as it was
    stack = ExitStack()
    stack.enter_context(mock.patch.dict(os.environ, launcher_variables(engine)))
    if engine.startswith("zero"):
        stack.enter_context(quick_builds())
    if engine == "fsdp2":
        # On CPUs accelerate takes an FSDP configuration for DDP; it looks at nothing but this type.
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
        backend = ("gloo", DistributedType.MULTI_GPU)
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        stack.enter_context(mock.patch.object(PartialState, "_prepare_backend", lambda *_: backend))
    return stack


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
    sys.stdout.flush()
    os._exit(0)  # all is written; several engines in one process may not come apart in good order
