"""Estimates of a step's memory beside the measured peaks of real runs, on one process and on every engine.

python -m tests.stress.memory                  (every shape, on one process: about 20 minutes)
python -m tests.stress.memory --connections aligned own       (the same with these options of the connection)
python -m tests.stress.memory --engines        (two processes under DDP, FSDP2, ZeRO-2 and ZeRO-3)

How a peak is measured stands in tests/training/memory/measured.py. The tables are those of docs/memory.md.
"""

import argparse
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from cctuning.distributed.engines import Engine
from cctuning.training.memory import estimate_memory
from cctuning.training.memory.step import Step
from tests.distributed.engine_worker import environment_of, forget_engine
from tests.training.memory.measured import measured_peak
from tests.training.memory.shapes import CONNECTIONS, SHAPES, lora, step_of, train

ENGINES = ("ddp", "fsdp2", "zero2", "zero3")
ENGINE_SHAPES = ("wide",)


def main() -> None:
    """Prints one line per run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", action="store_true", help="two processes instead of one")
    parser.add_argument(
        "--connections", nargs="+", default=[], choices=CONNECTIONS, help="with these options"
    )
    parser.add_argument("--only", nargs="*", default=ENGINES, choices=ENGINES, help="these engines")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if arguments.worker:
        work(Path(arguments.worker))
    elif arguments.engines:
        engines(arguments.only)
    else:
        one_process(arguments.connections)


def cases(connections: Sequence[str]) -> list[dict[str, object]]:
    """Full fine-tuning with one and two accumulated passes, and LoRA; each with and without the rest.

    With `connections` instead full fine-tuning and LoRA with each of these.
    """
    kinds: list[dict[str, object]] = [{"accumulation": 1}, {"accumulation": 2}, {"lora": lora()}]
    if connections:
        options = [{"connection": CONNECTIONS[name]} for name in connections]
        kinds = [{**option, **kind} for option in options for kind in ({}, {"lora": lora()})]
    switches = itertools.product((False, True), repeat=2)
    return [
        {"checkpointing": checkpointing, "bf16": bf16, **kind}
        for kind, (checkpointing, bf16) in itertools.product(kinds, switches)
    ]


def one_process(connections: Sequence[str]) -> None:
    for name, shape in SHAPES.items():
        for changes in cases(connections):
            step = step_of(shape, **changes)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder)
                peak = measured_peak(functools.partial(train, step, shape, path), path)
            say(f"{name}, {described(step)}", estimate_memory(step).total, peak)


def engines(names: Sequence[str]) -> None:
    for engine, shape in itertools.product(names, ENGINE_SHAPES):
        with tempfile.TemporaryDirectory() as folder:
            job = Path(folder) / "job.json"
            job.write_text(json.dumps({"engine": engine, "shape": shape}))
            command = [
                sys.executable, "-m", "accelerate.commands.launch", "--config_file",
                "recipes/accelerate/ddp.yaml", "--num_processes", "2", "--main_process_port", "0",
                "-m", "tests.stress.memory", "--worker", str(job),
            ]  # fmt: skip
            ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
            results = job.with_suffix(".0.json")
            if not results.is_file():
                print(f"{engine}, {shape}: no result\n{ended.stderr[-3000:]}")
                continue
            for step, peak in zip(engine_steps(shape), json.loads(results.read_text()), strict=True):
                estimate = estimate_memory(step, Engine(engine, 2))
                say(f"{engine}, {shape}, {described(step)}", estimate.total, peak)


def engine_steps(shape: str) -> list[Step]:
    """The runs under each engine."""
    kinds = [{}, {"lora": lora()}]
    return [
        step_of(SHAPES[shape], bf16=bf16, **kind) for kind, bf16 in itertools.product(kinds, (False, True))
    ]


def work(job: Path) -> None:
    """One process's runs."""
    asked = json.loads(job.read_text())
    rank = os.environ["RANK"]
    torch.distributed.init_process_group("gloo")
    peaks = []
    for number, step in enumerate(engine_steps(asked["shape"])):
        folder = job.parent / f"{rank}-{number}"
        folder.mkdir()
        with environment_of(asked["engine"]):
            run = functools.partial(train, step, SHAPES[asked["shape"]], folder)
            peaks.append(measured_peak(run, folder))
            forget_engine()
        job.with_suffix(f".{rank}.json").write_text(json.dumps(peaks))
    torch.distributed.destroy_process_group()


def described(step: Step) -> str:
    """What distinguishes a run from the others."""
    parts = {
        **{name: step.connection == connection for name, connection in CONNECTIONS.items()},
        "LoRA": step.lora is not None,
        f"{step.accumulation} passes": step.accumulation > 1,
        "checkpointing": step.checkpointing,
        "bf16": step.bf16,
    }
    return ", ".join(part for part, there in parts.items() if there) or "plain"


def say(run: str, estimate: int, peak: int) -> None:
    print(
        f"{run}: {estimate / 2**20:.1f} MiB, measured {peak / 2**20:.1f}, {estimate / peak:.3f}", flush=True
    )


if __name__ == "__main__":
    main()
