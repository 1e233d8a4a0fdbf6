"""Every engine on two CPU processes against one process: losses, weights, files, resuming."""

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from cctuning.commands import train_model as train
from cctuning.connection import modeling_cctuning
from cctuning.connection.model import CCTuningModel
from tests.distributed.engine_runs import (
    ENGINES,
    SETTINGS,
    loss_deviation,
    run_on_two,
    weight_deviation,
    weight_deviations,
    weights,
)
from tests.distributed.engine_worker import without_noise
from tests.releases import resumes_on_cpus
from tests.scripts import succeed, write_base, write_rows

pytestmark = [
    pytest.mark.slow,
    resumes_on_cpus,
    pytest.mark.skipif(
        shutil.which("g++") is None and shutil.which("c++") is None,
        reason="DeepSpeed builds its CPU operators with a C++ compiler, and there is none",
    ),
]
LORA = {"lora.enabled": "true"}
SAVING = {"save_strategy": "steps", "save_steps": 2, "save_total_limit": "null"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    base, rows = write_base(folder / "base"), write_rows(folder / "rows.jsonl", 32)
    return SETTINGS | {"model_name_or_path": str(base), "data": str(rows)}


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    """Runs of one process, in full and with LoRA."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_cctuning, "select", without_noise)
        for name, changes in (("full", {}), ("lora", LORA)):
            own = settings | changes | {"output_dir": folder / name}
            succeed(train, *(f"{key}={value}" for key, value in own.items()))
    return folder


@pytest.fixture(scope="module")
def together(settings, tmp_path_factory):
    """The folder of all runs on two processes, and how they ended per process."""
    folder = tmp_path_factory.mktemp("together")
    jobs = []

    def add(name, engine, *, noise=False, **changes):
        own = settings | changes | {"output_dir": str(folder / name)}
        jobs.append({"name": name, "engine": engine, "noise": noise, "settings": own})

    add("noise", "ddp", noise=True, **SAVING)
    add("noise-resumed", "ddp", noise=True, **SAVING, resume=str(folder / "noise/checkpoint-2"))
    for engine in ENGINES:
        add(engine, engine, **SAVING)
        add(f"{engine}-resumed", engine, **SAVING, resume=str(folder / engine / "checkpoint-2"))
    add("fsdp2-lora", "fsdp2", **LORA)
    add("zero3-bfloat16", "zero3", bf16="true", gradient_checkpointing="true")
    ended = run_on_two(jobs, folder)
    for process in ended:
        for job, one in zip(jobs, process, strict=False):
            assert one["status"] == 0, f"{job['name']}: {one['err'][-3000:]}"
        assert len(process) == len(jobs)
    names = [job["name"] for job in jobs]
    return folder, [dict(zip(names, process, strict=True)) for process in ended]


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_and_weights_are_those_of_one_process(engine, alone, together):
    folder, _ = together
    assert loss_deviation(folder / engine, alone / "full") < 1e-6
    assert weight_deviation(folder / engine, alone / "full") < 1e-5


def test_lora_under_a_sharded_engine_is_that_of_one_process(alone, together):
    folder, _ = together
    assert loss_deviation(folder / "fsdp2-lora", alone / "lora") < 1e-6
    assert weight_deviation(folder / "fsdp2-lora", alone / "lora") < 1e-5


@pytest.mark.parametrize("engine", [*ENGINES, "zero3-bfloat16"])
def test_what_is_saved_loads_as_a_plain_and_as_a_connected_model(engine, together):
    folder, _ = together
    plain, info = AutoModelForCausalLM.from_pretrained(folder / engine, output_loading_info=True)
    assert not any(info.values()), info
    assert json.loads((folder / engine / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    saved, connected = weights(folder / engine), CCTuningModel.load(folder / engine)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(connected.state_dict()[name], tensor)
    own = saved["connection.safetensors: decision_maker.weight"]
    assert torch.equal(connected.decision_maker.weight, own.float()) and own.shape == (3, 32)


@pytest.mark.parametrize("run", ["ddp", "fsdp2", "zero2", "zero3", "noise"])
def test_a_resumed_run_ends_bit_for_bit_like_the_whole_one(run, together):
    folder, _ = together
    whole, resumed = weights(folder / run), weights(folder / f"{run}-resumed")
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


def test_resuming_with_offload_differs_by_rounding_at_most(together):
    folder, _ = together  # DeepSpeed's Adam for CPUs computes its bias correction anew
    found = weight_deviations(folder / "zero3_offload-resumed", folder / "zero3_offload")
    # The gate begins at 0 and is all made of such updates: 1 - 0.999^t of few steps t has lost some digits.
    assert found.pop("connection.safetensors: connection_gate.weight") < 1e-5
    assert max(found.values()) < 1e-6


def test_every_process_draws_noise_of_its_own_and_goes_on_with_it(together):
    _, (first, second) = together
    assert first["noise"]["random_state"] != second["noise"]["random_state"]
    for process in (first, second):
        assert process["noise"]["random_state"] != process["noise-resumed"]["random_state"]
        assert process["ddp"]["random_state"] == []  # nothing was drawn where noise was off
