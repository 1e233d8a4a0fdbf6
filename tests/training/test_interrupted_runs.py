"""Runs that are signalled, killed or damaged, and end like one that nobody disturbed.

tests/stress/kills.py is the long form.
"""

import json
import re
import signal
import time

import pytest

from cctuning.commands import train_model as train
from cctuning.training.checkpoints import newest_complete
from tests.json_lines import read_lines
from tests.processes import start, start_two
from tests.releases import resumes_on_cpus
from tests.scripts import ON_CPU, succeed, write_base, write_rows

pytestmark = pytest.mark.slow

SETTINGS = {
    **ON_CPU,
    "learning_rate": "1e-2",
    "max_steps": "30",
    "save_strategy": "steps",
    "save_steps": "6",
    "save_total_limit": "2",
    "logging_steps": "7",
}


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
    succeed(train, *(f"{key}={value}" for key, value in inputs.items()), f"output_dir={folder}")
    lines = read_lines(folder / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 7, 14, 21, 28, 30]
    return folder


def wait_for(path, started):
    while not path.exists() and started.process.is_alive():
        time.sleep(0.01)
    assert started.process.is_alive(), started.wait()


def assert_same_run(first, second):
    for name in ("model.safetensors", "connection/connection.safetensors", "metrics.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    reports = [json.loads((folder / "training_report.json").read_text()) for folder in (first, second)]
    assert reports[0]["loss"] == reports[1]["loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_and_the_same_command_again(arguments, tmp_path, whole, number):
    folder = tmp_path / "run"
    started = start("train.py", *arguments, folder=tmp_path)
    wait_for(folder / "checkpoint-6" / "complete.json", started)
    started.send(number)
    ended = started.wait()
    assert ended.status == 128 + number, ended.err
    said = rf"stopped at step (\d+) of 30; {folder}/checkpoint-\1 is complete, and the same command goes on"
    assert re.search(said, ended.err), ended.err
    assert "Traceback" not in ended.err
    assert not (folder / "training_report.json").exists()

    again = succeed(train, *arguments)
    assert f"Continuing from {folder}/checkpoint-" in again.out
    assert_same_run(folder, whole)
    rates = [
        "train_steps_per_second" in json.loads((run / "training_report.json").read_text())
        for run in (folder, whole)
    ]
    assert rates == [False, True]  # that of a part would be none


def test_kills_within_a_save_and_after_one_and_a_flipped_bit(arguments, tmp_path, whole):
    folder = tmp_path / "run"
    for last in ("checkpoint-6/model.safetensors", "checkpoint-18/complete.json"):  # a marker is written last
        started = start("train.py", *arguments, folder=tmp_path)
        wait_for(folder / last, started)
        started.send(signal.SIGKILL)
        assert started.wait().status == -signal.SIGKILL
    newest = newest_complete(folder).step
    weights = folder / f"checkpoint-{newest}" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    again = succeed(train, *arguments)
    damaged = f"passed over {folder}/checkpoint-{newest}: model.safetensors is damaged"
    assert damaged in again.out and f"Continuing from {folder}/checkpoint-{newest - 6}" in again.out
    assert_same_run(folder, whole)


@resumes_on_cpus
def test_one_of_two_processes_is_signalled_and_then_one_is_killed(arguments, inputs, tmp_path):
    folder = tmp_path / "run"
    first, second = start_two("train.py", *arguments, folder=tmp_path)
    wait_for(folder / "checkpoint-6" / "complete.json", first)
    second.send(signal.SIGTERM)  # not to the one that writes
    ended = first.wait()
    assert (ended.status, second.wait().status) == (128 + signal.SIGTERM,) * 2, ended.err
    said = r"stopped at step (\d+) of 30; .* is complete, and the same command goes on"
    [stopped_at] = re.findall(said, ended.err)
    assert newest_complete(folder).step == int(stopped_at)

    first, second = start_two("train.py", *arguments, folder=tmp_path)
    wait_for(folder / "checkpoint-18" / "complete.json", first)
    second.send(signal.SIGKILL)
    ended = first.wait()
    assert (ended.status, second.wait().status) == (1, -signal.SIGKILL), ended.err
    assert f"Continuing from {folder}/checkpoint-{stopped_at}\n" in ended.out
    assert "error: another process of this run has ended; what it printed says why" in ended.err
    assert newest_complete(folder).step >= 18

    undisturbed = [f"{key}={value}" for key, value in inputs.items()] + [f"output_dir={tmp_path / 'whole'}"]
    for words in (undisturbed, arguments):
        for started in start_two("train.py", *words, folder=tmp_path):
            ended = started.wait()
            assert ended.status == 0, ended.err
    assert_same_run(folder, tmp_path / "whole")
