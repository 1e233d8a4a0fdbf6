"""Launches that accelerate would silently make into something else."""

import re
import types

import pytest
import torch

from cctuning.distributed import engines, launch_checks
from cctuning.distributed.engines import Engine, LaunchError
from cctuning.distributed.launch_checks import check_engine, check_launch, unfinished_builds
from cctuning.distributed.launcher import LauncherOptions

FSDP2 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"}
ZERO3 = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}


@pytest.fixture
def runs(monkeypatch):
    """Makes accelerate find this many processes, on this many GPUs, started with these options."""

    def as_if(processes=1, gpus=0, kind="NO", options=None):
        state = types.SimpleNamespace(num_processes=processes, distributed_type=kind)
        monkeypatch.setattr(launch_checks, "join_processes", lambda use_cpu: state)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        for module in (launch_checks, engines):
            monkeypatch.setattr(module, "launcher_options", lambda: options)

    return as_if


def refused(use_cpu=True):
    with pytest.raises(LaunchError) as raised:
        check_launch(use_cpu=use_cpu)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_plain_start_on_one_device_passes(launched, runs):
    launched()
    runs(gpus=1)
    check_launch(use_cpu=False)


def test_fewer_processes_than_asked_for_are_refused(launched, runs):
    launched()
    runs(options=LauncherOptions(2, True))
    assert refused().startswith(
        "2 processes were asked for, and 1 would run: accelerate starts one process with --cpu or"
    )
    launched(WORLD_SIZE=2, LOCAL_RANK=0)
    runs()
    assert refused(use_cpu=False).endswith("no GPU was found. On CPUs, set use_cpu=true in the recipe")


def test_fsdp_that_would_be_ddp_is_refused(launched, runs):
    launched(WORLD_SIZE=2, LOCAL_RANK=0, **FSDP2)
    runs(processes=2, kind="MULTI_CPU")
    assert refused().startswith("FSDP2 on 2 processes was asked for, and accelerate would run DDP on 2 proc")
    runs(processes=2, gpus=2, kind="MULTI_GPU")
    check_launch(use_cpu=False)


def test_layers_that_are_differentiated_twice_are_refused_under_fsdp(launched, runs):
    launched(WORLD_SIZE=2, LOCAL_RANK=0, **FSDP2)
    runs(processes=2, gpus=2, kind="MULTI_GPU")
    with pytest.raises(LaunchError, match="english_gradient uses every layer twice"):
        check_launch(use_cpu=False, differentiated_twice="connection.english_gradient")
    launched(ACCELERATE_USE_FSDP="false")
    check_launch(use_cpu=False, differentiated_twice="connection.english_gradient")


def test_prompts_that_are_read_twice_are_refused_under_zero3(launched, runs, monkeypatch):
    runs(processes=2, gpus=2, kind="MULTI_GPU")
    launched(WORLD_SIZE=2, LOCAL_RANK=0)
    check_launch(use_cpu=False, read_twice="connection.monolingual_share")
    monkeypatch.setattr(launch_checks, "current_engine", lambda: Engine("zero3", 2))
    with pytest.raises(LaunchError, match="monolingual_share"):
        check_launch(use_cpu=False, read_twice="connection.monolingual_share")


@pytest.mark.parametrize("options", [{"english_gradient"}, {"monolingual_share"}, {"alignment"}])
def test_engines_that_are_named_in_place_of_one_are_refused_nothing(launched, runs, monkeypatch, options):
    launched(WORLD_SIZE=2, LOCAL_RANK=0)
    runs(processes=2, gpus=2, kind="MULTI_GPU")
    monkeypatch.setattr(launch_checks, "_check_settings", lambda engine: None)
    settings = {
        "differentiated_twice": next(iter(options & {*launch_checks.DIFFERENTIATED_TWICE}), ""),
        "read_twice": next(iter(options & {*launch_checks.READ_TWICE}), ""),
    }

    def named(engine):
        """The engines that the refusal names; none where it is not refused."""
        monkeypatch.setattr(launch_checks, "current_engine", lambda: Engine(engine, 2))
        try:
            check_launch(use_cpu=False, **settings)
        except LaunchError as error:
            assert next(iter(options)) in str(error)
            return re.findall(r"(\w+)\.yaml", str(error))
        return []

    refused_under = {engine: others for engine in ("fsdp2", "zero3") if (others := named(engine))}
    assert refused_under and all(len(others) == 2 for others in refused_under.values())
    assert not any(named(other) for others in refused_under.values() for other in others)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FSDP_VERSION": "1"}, "FSDP1 is not supported: set fsdp_version: 2"),
        ({"FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"}, "set fsdp_state_dict_type: FULL_STATE_DICT"),
        ({"FSDP_ACTIVATION_CHECKPOINTING": "true"}, "gradient_checkpointing=true in the recipe"),
    ],
)
def test_settings_of_fsdp_that_do_not_serve_are_refused(launched, runs, changes, said):
    launched(WORLD_SIZE=2, LOCAL_RANK=0, **FSDP2 | changes)
    runs(processes=2, gpus=2, kind="MULTI_GPU")
    assert said in refused(use_cpu=False)


def test_zero3_that_would_save_no_model_is_refused(launched, runs):
    launched(WORLD_SIZE=2, LOCAL_RANK=0, **ZERO3)
    runs(processes=2, gpus=2, kind="DEEPSPEED")
    assert "set zero3_save_16bit_model: true" in refused(use_cpu=False)
    launched(ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL="true")
    check_launch(use_cpu=False)
    assert "ZeRO-3 on 2 processes takes the GPUs that it finds" in refused(use_cpu=True)


def test_gpus_and_processes_have_to_fit(launched, runs):
    launched(WORLD_SIZE=8, LOCAL_WORLD_SIZE=8, LOCAL_RANK=0)
    runs(processes=8, gpus=4, kind="MULTI_GPU")
    assert refused(use_cpu=False).endswith("on a machine with 4 GPUs: --num_processes 4")


def test_data_parallel_is_refused(launched, runs):
    launched()
    runs(gpus=4)
    assert "one process was started, and 4 GPUs are visible" in refused(use_cpu=False)
    check_launch(use_cpu=True)


def test_launcher_and_recipe_have_to_agree_on_cpus(launched, runs):
    launched(WORLD_SIZE=2, LOCAL_RANK=0)
    runs(processes=2, gpus=2, kind="MULTI_GPU", options=LauncherOptions(2, True))
    assert "accelerate was told to use CPUs" in refused(use_cpu=False)


def test_the_accelerator_has_to_be_what_was_asked_for():
    state = types.SimpleNamespace(distributed_type="MULTI_GPU", num_processes=2)
    accelerator = types.SimpleNamespace(state=state)
    check_engine(Engine("ddp", 2), accelerator)
    with pytest.raises(LaunchError, match="FSDP2 on 2 processes was asked for, and DDP on 2 processes runs"):
        check_engine(Engine("fsdp2", 2), accelerator)


def test_a_lock_that_deepspeed_would_wait_for_is_named(launched, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    launched(WORLD_SIZE=2, LOCAL_RANK=0, **ZERO3)
    assert unfinished_builds() == []
    lock = tmp_path / "cpu_adam" / "lock"
    lock.parent.mkdir()
    lock.touch()
    (message,) = unfinished_builds()
    assert "cpu_adam" in message and message.endswith(str(lock))
    launched(ACCELERATE_USE_DEEPSPEED="false")
    assert unfinished_builds() == []  # DDP compiles nothing
