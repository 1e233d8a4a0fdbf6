"""Runs stages in parallel processes, shows how far they are, and skips what an earlier call finished."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from demo.stages import ROOT, Stage

# One thread per process: the stages share the cores among themselves.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MPLBACKEND": "Agg",
    "PYTHONUNBUFFERED": "1",
}
POLL_SECONDS = 0.25


class StageError(RuntimeError):
    """A stage failed; the message holds the end of its log."""


def run_stages(
    stages: Sequence[Stage], fingerprints: Mapping[str, str], outputs: Path, *, jobs: int
) -> list[str]:
    """Runs what is not finished, at most `jobs` stages at a time; returns the names of those that ran.

    Each stage's output goes to OUTPUTS/logs/NAME.log. A stage that was stopped on the way starts anew.
    Raises `StageError` for the first stage that fails; the others are stopped, as on Ctrl-C.
    """
    stamps = {stage.name: outputs / "finished" / stage.name.replace("/", "-") for stage in stages}
    waiting = [
        stage for stage in stages if not _finished(stage, stamps[stage.name], fingerprints[stage.name])
    ]
    finished = {stage.name for stage in stages} - {stage.name for stage in waiting}
    ran = []
    running: dict[str, tuple[Stage, subprocess.Popen[bytes]]] = {}
    with _Display(stages, finished) as display:
        try:
            while waiting or running:
                ready = [stage for stage in waiting if finished.issuperset(stage.needs)]
                for stage in ready[: jobs - len(running)]:
                    waiting.remove(stage)
                    stamps[stage.name].unlink(missing_ok=True)
                    running[stage.name] = (stage, _start(stage, _log(outputs, stage)))
                for stage, process in list(running.values()):
                    display.show(stage)
                    if process.poll() is None:
                        continue
                    del running[stage.name]
                    if process.returncode != 0:
                        raise StageError(_failure(stage, process.returncode, _log(outputs, stage)))
                    _write(stamps[stage.name], fingerprints[stage.name])
                    finished.add(stage.name)
                    ran.append(stage.name)
                    display.finish(stage)
                time.sleep(POLL_SECONDS)
        finally:
            for _, process in running.values():
                process.terminate()
            for _, process in running.values():
                process.wait()
    return ran


def _finished(stage: Stage, stamp: Path, fingerprint: str) -> bool:
    return stamp.is_file() and stamp.read_text() == fingerprint and stage.output.exists()


def _start(stage: Stage, log: Path) -> subprocess.Popen[bytes]:
    if stage.output.is_dir():
        shutil.rmtree(stage.output)
    stage.output.unlink(missing_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            stage.command,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def _log(outputs: Path, stage: Stage) -> Path:
    return outputs / "logs" / f"{stage.name.replace('/', '-')}.log"


def _failure(stage: Stage, status: int, log: Path) -> str:
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    return f"{stage.name} ended with status {status}; the end of {log}:\n{tail}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class _Display:
    """One bar for all stages, and one for each that is running."""

    def __init__(self, stages: Sequence[Stage], finished: set[str]) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns)
        self.start = time.monotonic()
        self.total = self.progress.add_task(
            "all stages", total=len(stages), completed=len(finished), note=f"{len(finished)} done before"
        )
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Display:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, stage: Stage) -> None:
        """How far a running stage is, from the metrics that it writes."""
        if stage.name not in self.tasks:
            self.tasks[stage.name] = self.progress.add_task(stage.name, total=stage.steps or None, note="")
        last = _last_metrics(stage.output / "metrics.jsonl") if stage.steps else None
        if last is not None:
            loss = f"loss {last['loss']:.3f}" if "loss" in last else ""
            self.progress.update(self.tasks[stage.name], completed=last["step"], note=loss)

    def finish(self, stage: Stage) -> None:
        """Moves the bar of all stages on, and leaves a line, which is all that is seen without a terminal."""
        if stage.name in self.tasks:
            self.progress.remove_task(self.tasks.pop(stage.name))
        self.progress.update(self.total, advance=1, note="")
        self.progress.console.print(f"{time.monotonic() - self.start:5.0f} s  {stage.name} done")


def _last_metrics(path: Path) -> dict[str, float] | None:
    lines = path.read_text().splitlines() if path.is_file() else []
    try:
        return json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None  # a line that is being written
