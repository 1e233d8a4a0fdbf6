"""All that has to be measured on a GPU, in one command, with random weights of full size in bfloat16.

python -m benchmarks.gpu [--seconds 540] [--parts sweep step ...]
python -m benchmarks.gpu --small --seconds 3600      # every part at the size of a CPU, to see that it runs

Each part is a command of its own, in a process of its own, and may take what is left of the time; a part that
fails, or that the time does not reach, is named with its reason and the others run. Everything comes into one
file, outputs/benchmarks/gpu.json.
"""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.interleaved import write_report

OUTPUT = Path("outputs/benchmarks")
RUNS = Path("outputs/gpu")
PLAIN: dict[bool, list[float]] = {}  # the losses of the undisturbed run, small or not


@dataclass(frozen=True)
class Part:
    """A thing to measure.

    Attributes:
        what: it says, in a few words.
        needs: packages that have to be there.
        run: measures; from whether it is small, and seconds that are left. Returns what belongs in the file.
    """

    what: str
    needs: tuple[str, ...]
    run: Callable[[bool, float], Any]


def benchmark(name: str, full: Sequence[str], small: Sequence[str]) -> Callable[[bool, float], Any]:
    """Runs `benchmarks.NAME` with these options, and returns the results of its report."""

    def run(is_small: bool, seconds: float) -> Any:
        report = OUTPUT / f"{name}.json"
        report.unlink(missing_ok=True)
        called([sys.executable, "-m", f"benchmarks.{name}", *(small if is_small else full)], seconds)
        return json.loads(report.read_text())["results"]

    return run


def called(command: Sequence[str], seconds: float, *, until: Path | None = None) -> str:
    """Runs a command and returns what it printed; with `until`, it gets SIGTERM when that is there.

    Raises `RuntimeError` where it fails or does not end in time.
    """
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a launcher's processes end with it
        )
        deadline, stopped = time.monotonic() + seconds, False
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if until and not stopped and until.exists():
                    process.send_signal(signal.SIGTERM)
                    stopped = True
                time.sleep(0.1)
            if process.poll() is None:
                raise RuntimeError(f"did not end within {seconds:.0f} s")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        printed = output.read()
    if until and not stopped:
        raise RuntimeError(f"ended before {until} was there: {printed[-2000:]}")
    if process.returncode and not stopped:
        raise RuntimeError(printed[-2000:])
    return printed


def train(name: str, *settings: str, launcher: Sequence[str] = ("-m", "cctuning")) -> list[str]:
    """A short training of the demo's recipe, whose base model `python -m demo.base` makes."""
    folder = RUNS / name
    common = ["recipe=tiny", f"model_name_or_path={RUNS / 'base'}", f"output_dir={folder}", "max_steps=40"]
    common += ["save_strategy=steps", "save_steps=10", "logging_steps=1"]
    return [sys.executable, *launcher, "train", *common, *settings]


def losses(name: str) -> list[float]:
    """The losses of a run, step by step."""
    lines = (RUNS / name / "metrics.jsonl").read_text().splitlines()
    return [row["loss"] for line in lines if "loss" in (row := json.loads(line))]


def base_model(seconds: float) -> None:
    """The model that the parts below train, once."""
    if not (RUNS / "base" / "config.json").exists():
        called([sys.executable, "-m", "demo.base", str(RUNS / "base"), "--steps", "20"], seconds)


def device_settings(small: bool) -> list[str]:
    """Where a run computes, and in which precision."""
    return ["use_cpu=true"] if small else ["use_cpu=false", "bf16=true"]


def beside_plain(name: str, small: bool, seconds: float, run: Callable[[], Any]) -> dict[str, Any]:
    """What `run` leaves in the folder NAME, beside the same training undisturbed and on its own.

    That one is trained once for all parts.
    """
    if small not in PLAIN:
        base_model(seconds)
        shutil.rmtree(RUNS / "plain", ignore_errors=True)
        called(train("plain", *device_settings(small)), seconds)
        PLAIN[small] = losses("plain")
    shutil.rmtree(RUNS / name, ignore_errors=True)
    run()
    pairs = list(zip(PLAIN[small], losses(name), strict=True))
    return {"steps": len(pairs), "largest_difference_of_a_loss": max(abs(a - b) for a, b in pairs)}


def resumed(small: bool, seconds: float) -> dict[str, Any]:
    """A run that gets SIGTERM, and goes on by the same command."""
    command = train("stopped", *device_settings(small))

    def run() -> None:
        called(command, seconds, until=RUNS / "stopped" / "checkpoint-10")
        called(command, seconds)

    return beside_plain("stopped", small, seconds, run)


def sharded(engine: str) -> Callable[[bool, float], dict[str, Any]]:
    """The same run under an engine, on the one card."""

    def part(small: bool, seconds: float) -> dict[str, Any]:
        launch = ["-m", "accelerate.commands.launch", "--config_file", f"recipes/accelerate/{engine}.yaml"]
        launch += ["--num_processes", "1", *(["--cpu"] if small else []), "-m", "cctuning"]
        command = train(engine, *device_settings(small), launcher=launch)
        return beside_plain(engine, small, seconds, lambda: called(command, seconds))

    return part


SWEEP = ["--shape", "llama-7b", "--device", "cuda", "--dtype", "bfloat16", "--prompt-lengths", "150", "400"]
STEP = ["--shape", "llama-8b", "--lora", "16", "--rows", "2", "--tokens", "1024", "--repeats", "5"]
ONE_SETTING = ["--shares", "1:1", "--checkpointing", "on"]
PARTS = {
    "sweep": Part(
        "XTransplant's sweep of a 7B model: seconds a question, memory, hours for the papers' pilot",
        (),
        benchmark(
            "transplant",
            [*SWEEP, "--sample", "1", "--repeats", "1"],
            ["--layers", "3", "--prompt-lengths", "16", "--repeats", "1", "--sample", "1"],
        ),
    ),
    "step": Part(
        "a training step of an 8B model with LoRA, connected over plain, and its memory beside the estimate",
        ("trl",),
        benchmark(
            "training_step",
            [*STEP, *ONE_SETTING],
            ["--hidden", "64", "--layers", "2", "--lora", "4", "--repeats", "2", *ONE_SETTING],
        ),
    ),
    "generation": Part(
        "generation of an exported model over the plain one, batches of 1 and 32",
        ("trl",),
        benchmark(
            "generation",
            [
                "--hidden",
                "4096",
                "--layers",
                "32",
                "--prompts",
                "256",
                "--batches",
                "1",
                "32",
                "--repeats",
                "3",
            ],
            ["--hidden", "64", "--layers", "2", "--prompts", "16", "--batches", "1", "2", "--repeats", "2"],
        ),
    ),
    "evaluation": Part(
        "evaluated rows per second over one question at a time",
        (),
        benchmark(
            "evaluation",
            ["--hidden", "2048", "--layers", "16", "--repeats", "1", "--batch-size", "128"],
            ["--hidden", "64", "--layers", "2", "--questions", "4", "--new-tokens", "4", "--repeats", "1"],
        ),
    ),
    "resume": Part(
        "SIGTERM in a training, and the same command again", ("trl", "datasets", "omegaconf"), resumed
    ),
    "fsdp2": Part("FSDP2 on one card", ("trl", "datasets", "omegaconf"), sharded("fsdp2")),
    "zero2": Part("ZeRO-2 on one card", ("trl", "datasets", "omegaconf", "deepspeed"), sharded("zero2")),
}


def measured(part: Part, small: bool, seconds: float) -> dict[str, Any]:
    """A part's line in the file: its results, or why there are none."""
    missing = [name for name in part.needs if importlib.util.find_spec(name) is None]
    if missing:
        return {"what": part.what, "left_out": f"{', '.join(missing)} not installed"}
    if seconds <= 0:
        return {"what": part.what, "left_out": "no time was left"}
    start = time.monotonic()
    try:
        outcome: dict[str, Any] = {"results": part.run(small, seconds)}
    except (OSError, RuntimeError, ValueError) as error:
        outcome = {"failed": f"{type(error).__name__}: {error}"}
    return {"what": part.what, "seconds": round(time.monotonic() - start, 1), **outcome}


def main() -> None:
    """Runs the parts, and writes the file after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=540, help="for all parts together (default: 540)")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    results: list[dict[str, Any]] = []
    for name in options.parts:
        print(f"{name}: {PARTS[name].what} ...", flush=True)
        results.append({"part": name, **measured(PARTS[name], options.small, end - time.monotonic())})
        shown = {key: value for key, value in results[-1].items() if key not in ("part", "what")}
        print(json.dumps(shown, indent=1), flush=True)
        path = write_report("gpu", results)
    print(path)
    if any("failed" in result for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
