"""Engines: on how many devices a model is trained, what each of them holds, and what was asked for."""

import datetime
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DeepSpeedPlugin, DistributedType, get_int_from_env, parse_flag_from_env
from torch.distributed.fsdp import CPUOffloadPolicy

from cctuning.distributed.launcher import launcher_options
from cctuning.tools.package_data import accelerate_file

ENGINES = {
    "one": "one device",
    "ddp": "DDP",
    "fsdp2": "FSDP2",
    "zero2": "DeepSpeed ZeRO-2",
    "zero3": "DeepSpeed ZeRO-3",
}
# How the launchers tell a process how many there are: torchrun, and the kinds of MPI.
_WORLD_SIZES = ["WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"]
_PATIENCE = datetime.timedelta(hours=6)


@dataclass(frozen=True)
class Engine:
    """Kind of training on several processes, one per device.

    Raises `ValueError` for a name that is none of `ENGINES`.
    """

    name: str
    processes: int = 1
    offload: bool = False  # optimizer states, and with ZeRO-3 weights, in main memory

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ValueError(f"engine {self.name!r} is not one of {', '.join(ENGINES)}")

    def __str__(self) -> str:
        offload = " with offload" if self.offload else ""
        count = f" on {self.processes} processes" if self.processes > 1 else ""
        return f"{ENGINES[self.name]}{offload}{count}"

    @property
    def shards_weights(self) -> bool:
        """Whether each process holds its share of the weights only, and gathers a layer to run it."""
        return self.name in ("fsdp2", "zero3")


class LaunchError(ValueError):
    """Error for another engine than was asked for; the message names both and says what to do."""


def join_processes(*, use_cpu: bool) -> Any:
    """This process's place among those that were started together: accelerate's `PartialState`.

    `use_cpu`: on CPUs accelerate needs it, or sees no others. They wait long for one another: while
    the first one reads every byte of a checkpoint, or solves for a large matrix.
    """
    return PartialState(cpu=use_cpu, timeout=_PATIENCE)


def join_equals(command: str, *, use_cpu: bool) -> Any:
    """`join_processes` for a command whose processes share its work, each with the whole model.

    Raises `LaunchError` where fewer processes run than were asked for: accelerate would not say so.
    """
    state = join_processes(use_cpu=use_cpu or not torch.cuda.is_available())
    wanted = current_engine().processes
    if state.num_processes != wanted:
        raise LaunchError(
            f"{wanted} processes were asked for, and {state.num_processes} would run: use accelerate launch "
            f"--config_file {accelerate_file('ddp')} --num_processes {wanted} -m cctuning {command} ..."
        )
    return state


def current_engine() -> Engine:
    """The engine that this process was launched for, from the environment that its launcher has set.

    A plain `cctuning train` asks for one device. Raises `LaunchError` for an engine that does not serve.
    """
    processes = get_int_from_env(_WORLD_SIZES, 0)
    if not processes:  # one process alone, whatever its launcher's options
        launcher = launcher_options()
        processes = (launcher and launcher.processes) or 1
    if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED"):
        # As the Trainer will read it: from variables, or the file that one of them names.
        return _deepspeed_engine(DeepSpeedPlugin(), processes)
    if parse_flag_from_env("ACCELERATE_USE_FSDP"):
        return Engine("fsdp2", processes, offload=parse_flag_from_env("FSDP_OFFLOAD_PARAMS"))
    return Engine("ddp" if processes > 1 else "one", processes)


def running_engine(accelerator: Any) -> Engine:
    """The engine that an `accelerate.Accelerator` really trains with."""
    state = accelerator.state
    if state.distributed_type == DistributedType.DEEPSPEED:
        return _deepspeed_engine(state.deepspeed_plugin, state.num_processes)
    if state.distributed_type == DistributedType.FSDP:
        offload = isinstance(state.fsdp_plugin.cpu_offload, CPUOffloadPolicy)
        return Engine("fsdp2", state.num_processes, offload=offload)
    return Engine("ddp" if state.num_processes > 1 else "one", state.num_processes)


def _deepspeed_engine(plugin: Any, processes: int) -> Engine:
    name = f"zero{plugin.zero_stage}"
    if name not in ENGINES:
        raise LaunchError(
            f"DeepSpeed's ZeRO stage {plugin.zero_stage} is not supported: set zero_stage to 2 or 3"
        )
    settings = plugin.deepspeed_config["zero_optimization"]
    devices = [settings.get(f"offload_{part}", {}).get("device") for part in ("optimizer", "param")]
    return Engine(name, processes, offload=any(device not in (None, "none") for device in devices))
