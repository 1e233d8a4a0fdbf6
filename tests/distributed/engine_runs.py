"""Training runs under every engine on two CPU processes, and how far they are from one process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.json_lines import read_lines

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("ddp", "fsdp2", "zero2", "zero3", "zero3_offload")
# Rows of unequal length, two passes to a step: a mean of means would show.
SETTINGS: dict[str, Any] = {
    "use_cpu": "true",
    "bf16": "false",
    "gradient_checkpointing": "false",
    "learning_rate": "1e-3",
    "max_steps": 3,
    "total_batch_size": 8,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "connection.hard": "false",
    "connection.centred": "true",
    "connection.scale": 0.5,
    "connection.gate": "scalar",
    "connection.target_layer": 1,
    "lora.r": 4,
}


def run_on_two(jobs: Sequence[dict[str, Any]], folder: Path, *, timeout: float = 600) -> list[list[Any]]:
    """Runs jobs on two processes of DDP, launched as users do; how each ended, per process.

    A job has `engine`, `settings` of the recipe, and where noise is wanted `noise`.
    """
    path = folder / "jobs.json"
    path.write_text(json.dumps(list(jobs)))
    command = [
        sys.executable, "-m", "accelerate.commands.launch",
        "--config_file", str(ROOT / "recipes/accelerate/ddp.yaml"), "--num_processes", "2",
        "--main_process_port", "0", str(Path(__file__).with_name("engine_worker.py")), str(path),
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "",
        # DeepSpeed looks for ninja there, which lies beside this interpreter.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "TORCH_EXTENSIONS_DIR": str(own_extensions()),
    }
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    results = [path.with_suffix(f".{rank}.json") for rank in (0, 1)]
    if ended.returncode or not all(result.is_file() for result in results):
        raise RuntimeError(f"the processes ended with {ended.returncode}:\n{ended.stderr[-6000:]}")
    return [json.loads(result.read_text()) for result in results]


def own_extensions() -> Path:
    """The folder of DeepSpeed's compiled operators for these tests alone.

    A run that was killed while it compiled leaves a lock, for which later ones would wait for ever; nobody
    else compiles here, so a lock is such a one.
    """
    folder = ROOT / ".pytest_cache/torch_extensions"
    for lock in folder.glob("**/lock"):
        lock.unlink()
    return folder


def losses(folder: Path) -> list[float]:
    """The loss of every step, of a run that logs every step."""
    lines = read_lines(folder / "metrics.jsonl")
    return [line["loss"] for line in lines if "loss" in line]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors that a run has left: of the model or its adapter, and of the connection."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("connection/*.safetensors")])
    return {f"{file.name}: {name}": tensor for file in files for name, tensor in load_file(file).items()}


def loss_deviation(folder: Path, reference: Path) -> float:
    """The largest relative deviation of a step's loss."""
    pairs = zip(losses(folder), losses(reference), strict=True)
    return max(abs(loss - expected) / abs(expected) for loss, expected in pairs)


def weight_deviations(folder: Path, reference: Path) -> dict[str, float]:
    """The relative deviation of every tensor, in the Frobenius norm. The names have to be the same."""
    own, expected = weights(folder), weights(reference)
    if own.keys() != expected.keys():
        raise ValueError(f"the tensors differ: {sorted(own.keys() ^ expected.keys())}")
    return {
        name: float((own[name].double() - expected[name].double()).norm() / expected[name].double().norm())
        for name in own
    }


def weight_deviation(folder: Path, reference: Path) -> float:
    """The largest of them."""
    return max(weight_deviations(folder, reference).values())
