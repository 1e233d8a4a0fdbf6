"""Runs that are signalled, killed or damaged, and end like one that nobody disturbed.

tests/stress/kills.py is the long form.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cctuning.commands import train_model as train
from cctuning.training.checkpoints import newest_complete
from tests.scripts import ON_CPU, call, write_base, write_rows

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    **ON_CPU,
    "learning_rate": "1e-2",
    "max_steps": "50",
    "save_strategy": "steps",
    "save_steps": "10",
    "save_total_limit": "2",
    "logging_steps": "7",
}
ONE = [sys.executable, "train.py"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    base, data = write_base(folder / "base"), write_rows(folder / "rows.jsonl")
    return {"model_name_or_path": base, "data": data, **SETTINGS}


@pytest.fixture
def arguments(inputs, tmp_path):
    return [f"{key}={value}" for key, value in inputs.items()] + [f"output_dir={tmp_path / 'run'}"]


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("outputs") / "whole"
    ended = call(train, *(f"{key}={value}" for key, value in inputs.items()), f"output_dir={folder}")
    assert ended.status == 0, ended.err
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 7, 14, 21, 28, 35, 42, 49, 50]
    return folder


def start(*command):
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and hand that on to what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def send_to_the_second(process, number):
    """To one process of two, and not the one that writes."""
    children = psutil.Process(process.pid).children(recursive=True)
    trainers = [child for child in children if "train.py" in child.cmdline()]
    [second] = [child for child in trainers if child.environ()["RANK"] == "1"]
    second.send_signal(number)


def assert_same_run(first, second):
    for name in ("model.safetensors", "connection.safetensors", "metrics.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    reports = [json.loads((folder / "training_report.json").read_text()) for folder in (first, second)]
    assert reports[0]["loss"] == reports[1]["loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_and_the_same_command_again(arguments, tmp_path, caplog, whole, number):
    folder = tmp_path / "run"
    process = start(*ONE, *arguments)
    wait_for(folder / "checkpoint-10" / "complete.json", process)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    said = rf"stopped at step (\d+) of 50; {folder}/checkpoint-\1 is complete, and the same command goes on"
    assert re.search(said, err), err
    assert "Traceback" not in err
    assert not (folder / "training_report.json").exists()

    again = call(train, *arguments)
    assert again.status == 0, again.err
    assert f"Continuing from {folder}/checkpoint-" in again.out
    assert "missing keys" not in caplog.text
    assert_same_run(folder, whole)


def test_kills_within_a_save_and_after_one_and_a_flipped_bit(arguments, tmp_path, whole):
    folder = tmp_path / "run"
    process = start(*ONE, *arguments)
    wait_for(folder / "checkpoint-10" / "model.safetensors", process)  # its marker is written later
    process.kill()
    process.communicate()
    process = start(*ONE, *arguments)
    wait_for(folder / "checkpoint-30" / "complete.json", process)
    process.kill()
    process.communicate()
    newest = newest_complete(folder).step
    weights = folder / f"checkpoint-{newest}" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    again = call(train, *arguments)
    assert again.status == 0, again.err
    damaged = f"passed over {folder}/checkpoint-{newest}: model.safetensors is damaged"
    assert damaged in again.out and f"Continuing from {folder}/checkpoint-{newest - 10}" in again.out
    assert_same_run(folder, whole)


def test_one_of_two_processes_is_signalled_and_then_one_is_killed(arguments, inputs, tmp_path):
    folder = tmp_path / "run"
    process = start(*TWO, *arguments)
    wait_for(folder / "checkpoint-10" / "complete.json", process)
    send_to_the_second(process, signal.SIGTERM)
    _, err = process.communicate(timeout=100)
    assert process.returncode != 0
    [stopped_at] = re.findall(
        r"stopped at step (\d+) of 50; .* is complete, and the same command goes on", err
    )
    assert newest_complete(folder).step == int(stopped_at)

    process = start(*TWO, *arguments)
    wait_for(folder / "checkpoint-30" / "complete.json", process)
    send_to_the_second(process, signal.SIGKILL)
    out, err = process.communicate(timeout=100)
    assert process.returncode != 0
    assert f"Continuing from {folder}/checkpoint-{stopped_at}\n" in out
    assert "error: another process of this run has ended; what it printed says why" in err
    assert newest_complete(folder).step >= 30

    undisturbed = [f"{key}={value}" for key, value in inputs.items()] + [f"output_dir={tmp_path / 'whole'}"]
    for run in (start(*TWO, *undisturbed), start(*TWO, *arguments)):
        _, err = run.communicate(timeout=200)
        assert run.returncode == 0, err
    assert_same_run(folder, tmp_path / "whole")
