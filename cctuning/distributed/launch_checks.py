"""Launches that would silently become something else, each caught with a message that says what to do.

accelerate starts one process where several were asked for, or takes DDP for FSDP, without a word.
"""

import os
import time
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DeepSpeedPlugin, DistributedType, parse_flag_from_env
from torch.utils.cpp_extension import get_default_build_root

from cctuning.distributed.engines import Engine, LaunchError, current_engine, join_processes, running_engine
from cctuning.distributed.launcher import launcher_options
from cctuning.tools.package_data import accelerate_file

# Options of the connection by which the gradient passes through the layers twice, and prompts are read twice.
DIFFERENTIATED_TWICE = ("english_gradient", "alignment")
READ_TWICE = ("monolingual_share", "alignment")


def check_launch(*, use_cpu: bool, differentiated_twice: str = "", read_twice: str = "") -> None:
    """Raises `LaunchError` where another engine would run than this process was launched for.

    `use_cpu`: whether the recipe wants CPUs even where there are GPUs. `differentiated_twice`: the setting by
    which the gradient passes through the layers twice. `read_twice`: that by which prompts are read twice.
    Joins the processes.
    """
    engine = current_engine()
    _check_uses(engine, differentiated_twice, read_twice)
    _check_settings(engine)
    _check_devices(engine, use_cpu)
    state = join_processes(use_cpu=use_cpu)
    if state.num_processes != engine.processes:
        raise LaunchError(_too_few(engine, state.num_processes, use_cpu))
    if engine.name == "fsdp2" and state.distributed_type in (DistributedType.MULTI_CPU, DistributedType.NO):
        raise LaunchError(
            f"{engine} was asked for, and accelerate would run {Engine('ddp', engine.processes)}: FSDP needs "
            f"GPUs here. On CPUs choose {accelerate_file('ddp')} or zero3.yaml"
        )


def unfinished_builds() -> list[str]:
    """What to say of every lock beside DeepSpeed's C++ operators, for which a run would wait for ever.

    torch puts one there while it compiles, and a process that is killed at it leaves it behind.
    """
    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    locks = sorted(root.glob("**/lock")) if current_engine().name.startswith("zero") else []
    return [
        f"this run waits while DeepSpeed's {lock.parent.name} is compiled, which began at "
        f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(lock.stat().st_mtime))} and may have been "
        f"interrupted: if nothing is compiling, delete {lock}"
        for lock in locks
    ]


def check_engine(engine: Engine, accelerator: Any) -> None:
    """Raises `LaunchError` where the accelerator that was made for `engine` runs something else."""
    running = running_engine(accelerator)
    if running != engine:
        raise LaunchError(
            f"{engine} was asked for, and {running} runs: start with a file such as {accelerate_file('ddp')}"
        )


def _check_uses(engine: Engine, differentiated_twice: str, read_twice: str) -> None:
    """Raises `LaunchError` for a setting that the engine cannot train with; names engines that can."""
    others = {"fsdp2": ("zero3", "ddp"), "zero3": ("fsdp2", "zero2")}.get(engine.name, ())
    if differentiated_twice and read_twice:  # neither of these two engines serves
        others = ("zero2", "ddp")
    advice = "choose " + " or ".join(map(accelerate_file, others))
    if differentiated_twice and engine.name == "fsdp2":
        # Its backward pass frees a layer's weights after the first of the two uses.
        raise LaunchError(
            f"{differentiated_twice} uses every layer twice, which FSDP2 cannot differentiate: {advice}"
        )
    if read_twice and engine.name == "zero3":
        # Its processes have been seen to gather weights in different orders, and to wait for each other.
        raise LaunchError(f"{read_twice} reads prompts twice, which ZeRO-3 may not get through: {advice}")


def _check_settings(engine: Engine) -> None:
    """Raises `LaunchError` for what an engine's configuration may not say."""
    if engine.name == "fsdp2":
        if os.environ.get("FSDP_VERSION") != "2":
            raise LaunchError(
                f"FSDP1 is not supported: set fsdp_version: 2, as in {accelerate_file('fsdp2')}"
            )
        if os.environ.get("FSDP_STATE_DICT_TYPE") != "FULL_STATE_DICT":
            raise LaunchError(
                "with a sharded state the run would end without a model: set fsdp_state_dict_type: "
                f"FULL_STATE_DICT, as in {accelerate_file('fsdp2')}"
            )
        if parse_flag_from_env("FSDP_ACTIVATION_CHECKPOINTING"):
            raise LaunchError(
                "fsdp_activation_checkpointing is the recipe's to say: set it to false, and "
                "gradient_checkpointing=true in the recipe"
            )
    if engine.name == "zero3":
        settings = DeepSpeedPlugin().deepspeed_config["zero_optimization"]
        if not settings.get("stage3_gather_16bit_weights_on_model_save"):
            raise LaunchError(
                "ZeRO-3 would end without a model: set zero3_save_16bit_model: true (in a DeepSpeed file: "
                f"stage3_gather_16bit_weights_on_model_save), as in {accelerate_file('zero3')}"
            )


def _check_devices(engine: Engine, use_cpu: bool) -> None:
    """Whether the GPUs suffice, and whether launcher and recipe agree on using them."""
    gpus = torch.cuda.device_count()
    if not gpus:
        return
    launcher = launcher_options()
    if not use_cpu and (parse_flag_from_env("ACCELERATE_USE_CPU") or (launcher and launcher.cpu)):
        raise LaunchError(
            "accelerate was told to use CPUs (--cpu, or use_cpu: true in its configuration), and the recipe "
            "says use_cpu=false: change one of the two"
        )
    if use_cpu:
        if engine.name.startswith("zero"):
            raise LaunchError(
                f"{engine} takes the GPUs that it finds, and the recipe says use_cpu=true: set it to false, "
                "or hide the GPUs (CUDA_VISIBLE_DEVICES=)"
            )
        return
    here = int(os.environ.get("LOCAL_WORLD_SIZE", engine.processes))
    if here > gpus:
        raise LaunchError(
            f"{here} processes were asked for on a machine with {gpus} GPU{'s' * (gpus > 1)}: "
            f"--num_processes {gpus}"
        )
    if gpus > 1 and "LOCAL_RANK" not in os.environ:
        raise LaunchError(
            f"one process was started, and {gpus} GPUs are visible: it would take them all as DataParallel. "
            f"Use them with accelerate launch --config_file {accelerate_file('ddp')} "
            f"--num_processes {gpus} -m cctuning train ..., or one of them with CUDA_VISIBLE_DEVICES=0"
        )


def _too_few(engine: Engine, running: int, use_cpu: bool) -> str:
    problem = f"{engine.processes} processes were asked for, and {running} would run"
    if "LOCAL_RANK" not in os.environ:
        return (
            f"{problem}: accelerate starts one process with --cpu or distributed_type MULTI_CPU. On CPUs, "
            f"use accelerate launch --config_file {accelerate_file('ddp')} --num_processes "
            f"{engine.processes} -m cctuning train ... use_cpu=true"
        )
    if not use_cpu and not torch.cuda.is_available():
        return f"{problem}: no GPU was found. On CPUs, set use_cpu=true in the recipe"
    return f"{problem}: start with a file such as {accelerate_file('ddp')}"
