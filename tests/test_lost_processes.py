"""Two processes train together; one of them is signalled, and then one is killed."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cctuning.checkpoints import newest_complete
from tests.scripts import write_base, write_rows

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "use_cpu": "true",
    "bf16": "false",
    "gradient_checkpointing": "false",
    "learning_rate": "1e-2",
    "total_batch_size": "4",
    "logging_steps": "7",
    "save_strategy": "steps",
    "save_steps": "10",
    "max_steps": "50",
}


@pytest.fixture
def launch(tmp_path):
    base, data = write_base(tmp_path / "base"), write_rows(tmp_path / "rows.jsonl")

    def start(output_dir):
        settings = {"model_name_or_path": base, "data": data, "output_dir": output_dir, **SETTINGS}
        return subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"]
            + [f"{key}={value}" for key, value in settings.items()],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def send_to_the_second(process, number, saved):
    """To one of the two, and not the one that writes, once `saved` is there."""
    while not saved.exists() and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    trainers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "train.py" in child.cmdline()
    ]
    [second] = [child for child in trainers if child.environ()["RANK"] == "1"]
    second.send_signal(number)


def test_a_signalled_and_a_killed_process_leave_a_run_to_go_on_with(launch, tmp_path):
    folder = tmp_path / "run"
    process = launch(folder)
    send_to_the_second(process, signal.SIGTERM, folder / "checkpoint-10" / "complete.json")
    _, err = process.communicate(timeout=100)
    assert process.returncode != 0
    [stopped_at] = re.findall(
        r"stopped at step (\d+) of 50; .* is complete, and the same command goes on", err
    )
    assert newest_complete(folder).step == int(stopped_at)

    process = launch(folder)
    send_to_the_second(process, signal.SIGKILL, folder / "checkpoint-30" / "complete.json")
    out, err = process.communicate(timeout=100)
    assert process.returncode != 0
    assert f"Continuing from {folder}/checkpoint-{stopped_at}\n" in out
    assert "error: another process of this run has ended; what it printed says why" in err
    assert newest_complete(folder).step >= 30

    whole = launch(tmp_path / "whole")
    process = launch(folder)
    for run in (process, whole):
        _, err = run.communicate(timeout=200)
        assert run.returncode == 0, err
    for name in ("model.safetensors", "connection.safetensors", "metrics.jsonl"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
