"""Kills a training run again and again, lets it finish, and compares it with one that nobody disturbed.

python -m tests.stress.kills                              (40 kills, one process)
python -m tests.stress.kills --kills 12 --processes 2     (one rank of two is killed)

Each time the same command is started, and SIGKILL comes at a random moment, or as soon as a checkpoint's
folder appears without its marker, that is during a save, or right after the marker, while old checkpoints are
removed. Weights, connection, metrics and report have to be the same to the last bit, and a complete
checkpoint must never get lost on the way.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from cctuning.training.checkpoints import MARKER, checkpoint_folders, newest_complete
from cctuning.training.runs import FINISHED_FILE
from tests.scripts import ON_CPU, write_base, write_rows

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    **ON_CPU,
    "learning_rate": "1e-3",
    "logging_steps": "5",
    "save_strategy": "steps",
    "save_steps": "3",
    "save_total_limit": "2",
}
COMPARED = (
    "model.safetensors",
    "connection/connection.safetensors",
    "adapter_model.safetensors",
    "metrics.jsonl",
)
console = Console(markup=False, highlight=False, soft_wrap=True)

Moment = Callable[[Path, "subprocess.Popen[str]"], None]


def main() -> None:
    """Runs both, prints what was seen; ends with 1 where anything differs or kills are missing."""
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        base, data = write_base(folder / "base"), write_rows(folder / "rows.jsonl", 60)
        settings = {"model_name_or_path": base, "data": data, "max_steps": options.steps, **SETTINGS}
        if options.lora:
            settings["lora.enabled"] = "true"
        console.print("the run that nobody disturbs ...")
        whole = launch(settings, folder / "whole", options.processes)
        assert finished(whole) == 0, whole.stderr
        killed, fell = kill_until_done(settings, folder / "killed", options)
        console.print(table(fell, killed))
        different = differences(folder / "whole", folder / "killed")
        console.print(f"different: {', '.join(different) or 'nothing'}")
        if killed < options.kills:
            console.print(f"the run ended after {killed} of {options.kills} kills: give it more --steps")
        raise SystemExit(1 if different or killed < options.kills else 0)
    finally:
        shutil.rmtree(folder)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40, help="how many")
    parser.add_argument("--steps", type=int, default=150, help="of training")
    parser.add_argument("--processes", type=int, default=1, help="that train together")
    parser.add_argument("--lora", action="store_true", help="train an adapter")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    return parser.parse_args()


def launch(settings: dict[str, object], output_dir: Path, processes: int) -> subprocess.Popen[str]:
    """Starts the run, or goes on with it: the command is the same."""
    script = [sys.executable, "train.py"]
    if processes > 1:
        script = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        script += [f"--nproc-per-node={processes}", "train.py"]
    pairs = [f"{key}={value}" for key, value in settings.items()]
    return subprocess.Popen(
        [*script, *pairs, f"output_dir={output_dir}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )


def finished(process: subprocess.Popen[str]) -> int:
    """Waits for the end, reading what is printed so that nothing blocks."""
    _, process.stderr_text = process.communicate()  # type: ignore[attr-defined]
    return process.returncode


def kill_until_done(
    settings: dict[str, object], output_dir: Path, options: argparse.Namespace
) -> tuple[int, Counter[str]]:
    """Kills the run `options.kills` times at most and then lets it end; where the kills fell."""
    rng = random.Random(options.seed)
    fell: Counter[str] = Counter()
    complete = 0
    for number in range(options.kills):
        process = launch(settings, output_dir, options.processes)
        left = unmarked(output_dir)
        moment = (at_random(rng), within_a_save(rng), after_a_marker(rng))[number % 3]
        moment(output_dir, process)
        if process.poll() is not None:
            break
        kill(process, rng)
        code = finished(process)
        where = place(output_dir, left)
        fell[where] += 1
        found = newest_complete(output_dir)
        step = found.step if found else 0
        console.print(f"kill {number + 1}: {where}, complete up to step {step}, ended with {code}")
        assert step >= complete, f"checkpoint-{complete} was complete and is lost"
        complete = step
    if process.poll() is None or not (output_dir / FINISHED_FILE).is_file():
        process = launch(settings, output_dir, options.processes)
        code = finished(process)
        assert code == 0, process.stderr_text  # type: ignore[attr-defined]
    return sum(fell.values()), fell


def kill(process: subprocess.Popen[str], rng: random.Random) -> None:
    """SIGKILL: the process itself, or one of those that train under a launcher."""
    ranks = [child for child in psutil.Process(process.pid).children() if "train.py" in child.cmdline()]
    (rng.choice(ranks) if ranks else process).send_signal(signal.SIGKILL)


def at_random(rng: random.Random) -> Moment:
    """Any time after the run has begun, most often in a training step."""

    def wait(output_dir: Path, process: subprocess.Popen[str]) -> None:
        log = output_dir / "metrics.jsonl"
        size = log.stat().st_size if log.is_file() else 0
        wait_until(lambda: log.is_file() and log.stat().st_size != size, process, rng.uniform(0, 12))
        time.sleep(rng.uniform(0, 0.4))

    return wait


def within_a_save(rng: random.Random) -> Moment:
    """As soon as a new checkpoint's folder is there, and up to 30 ms later."""

    def wait(output_dir: Path, process: subprocess.Popen[str]) -> None:
        known = set(checkpoint_folders(output_dir))
        wait_until(lambda: bool(set(checkpoint_folders(output_dir)) - known), process)
        time.sleep(rng.uniform(0, 0.03))

    return wait


def after_a_marker(rng: random.Random) -> Moment:
    """Right after a checkpoint became complete, while the oldest one is removed."""

    def markers(output_dir: Path) -> set[Path]:
        return {folder for folder in checkpoint_folders(output_dir) if (folder / MARKER).is_file()}

    def wait(output_dir: Path, process: subprocess.Popen[str]) -> None:
        known = markers(output_dir)
        wait_until(lambda: bool(markers(output_dir) - known), process)
        time.sleep(rng.uniform(0, 0.005))

    return wait


def wait_until(seen: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until it is seen, the process has ended, or the time is over."""
    end = time.monotonic() + seconds
    while not seen() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)


def unmarked(output_dir: Path) -> set[Path]:
    """Checkpoints that are not complete."""
    return {folder for folder in checkpoint_folders(output_dir) if not (folder / MARKER).is_file()}


def place(output_dir: Path, left_before: set[Path]) -> str:
    """Where a kill fell, by what it has left; `left_before` are those that earlier ones left."""
    folders = checkpoint_folders(output_dir)
    new = unmarked(output_dir) - left_before
    if not folders:
        return "before the first checkpoint"
    if folders[0] in new or (new and folders[0] in left_before):
        return "within a save"
    return "while an old checkpoint was removed" if new else "between two saves"


def differences(whole: Path, killed: Path) -> list[str]:
    """The files of the two runs that differ."""
    different = [
        name
        for name in COMPARED
        if (whole / name).is_file() and (whole / name).read_bytes() != (killed / name).read_bytes()
    ]
    reports = [json.loads((folder / FINISHED_FILE).read_text()) for folder in (whole, killed)]
    if any(reports[0][key] != reports[1][key] for key in ("steps", "rows", "loss")):
        different.append(FINISHED_FILE)
    return different


def table(fell: Counter[str], killed: int) -> Table:
    """How many kills fell where."""
    found = Table(title=f"{killed} kills")
    found.add_column("fell")
    found.add_column("kills", justify="right")
    for name, count in fell.most_common():
        found.add_row(name, str(count))
    return found


if __name__ == "__main__":
    main()
