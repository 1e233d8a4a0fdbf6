"""Runs commands as processes of their own, each after those that it needs, and shows how far they are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

POLL_SECONDS = 0.25
_LOG_TAIL = 15  # lines of a log in an error

_Running = dict[str, tuple["Stage", "subprocess.Popen[bytes]"]]


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: unique, such as "seed0/sft".
        command: its arguments.
        output: the file or folder it makes.
        needs: names of the stages that come before it.
        steps: how many training steps it takes, for the progress bar; 0 where that is not known.
    """

    name: str
    command: tuple[str, ...]
    output: Path
    needs: tuple[str, ...] = ()
    steps: int = 0


@dataclass
class Outcome:
    """Result of stages: names of those that ran, and of those that did not for want of another one."""

    ran: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # with the end of their logs
    left_out: list[str] = field(default_factory=list)


def run_stages(
    stages: Sequence[Stage],
    *,
    finished: Collection[str],
    logs: Path,
    cwd: Path,
    jobs: int = 1,
    environment: Mapping[str, str] | None = None,
    keep_going: bool = False,
    before: Callable[[Stage], None] = lambda stage: None,
    after: Callable[[Stage], None] = lambda stage: None,
) -> Outcome:
    """Runs the stages that are not among `finished`, at most `jobs` at a time, in the folder `cwd`.

    `environment` is added to this process's own. What a stage prints is added to LOGS/NAME.log. `before` is
    called when a stage starts, `after` when it has ended well. A stage that fails ends the others, as an
    exception such as Ctrl-C does; with `keep_going` only those that need it are left out. Raises
    `FileNotFoundError` for a program that is not there, before any stage runs.
    """
    waiting = [stage for stage in stages if stage.name not in finished]
    for stage in waiting:
        if shutil.which(stage.command[0], path=(environment or {}).get("PATH")) is None:
            raise FileNotFoundError(f"{stage.name} needs the program {stage.command[0]}, which is not there")
    done, outcome = set(finished), Outcome()
    running: _Running = {}
    with _Display(stages, done) as display, _ended_together(running):
        while True:
            ready = [stage for stage in waiting if done.issuperset(stage.needs)]
            for stage in ready[: jobs - len(running)]:
                waiting.remove(stage)
                before(stage)
                log = log_file(logs, stage.name)
                running[stage.name] = (stage, _start(stage, log, cwd, environment or {}))
            if not running:
                break
            for stage, process in list(running.values()):
                display.show(stage)
                if process.poll() is None:
                    continue
                del running[stage.name]
                if process.returncode == 0:
                    after(stage)
                    done.add(stage.name)
                    outcome.ran.append(stage.name)
                else:
                    outcome.failed[stage.name] = _failure(
                        stage, process.returncode, log_file(logs, stage.name)
                    )
                display.finish(stage, failed=process.returncode != 0)
            if outcome.failed and not keep_going:
                break
            time.sleep(POLL_SECONDS)
    outcome.left_out = [stage.name for stage in waiting]
    return outcome


def log_file(logs: Path, name: str) -> Path:
    """The file of the output of the stage `name`."""
    return logs / f"{name.replace('/', '-')}.log"


def _start(stage: Stage, log: Path, cwd: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            stage.command,
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on once
        )


@contextmanager
def _ended_together(running: _Running) -> Iterator[None]:
    """Asks the processes that still run when the block ends to end too, with all that they started.

    A training run finishes its step and saves. Ctrl-C while it does so ends it at once.
    """
    try:
        yield
    finally:
        for _, process in running.values():
            _signal(process, signal.SIGTERM)
        try:
            for _, process in running.values():
                process.wait()
        except BaseException:
            for _, process in running.values():
                _signal(process, signal.SIGKILL)
            raise


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Sends a signal to a process and, where the system knows groups of them, to all in its group."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.terminate()


def _failure(stage: Stage, status: int, log: Path) -> str:
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL:])
    return f"{stage.name} ended with status {status}; the end of {log}:\n{tail}"


class _Display:
    """One bar for all stages, and one for each that is running."""

    def __init__(self, stages: Sequence[Stage], finished: Collection[str]) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns)
        self.start = time.monotonic()
        before = sum(stage.name in finished for stage in stages)
        note = f"{before} done before"
        self.total = self.progress.add_task("all stages", total=len(stages), completed=before, note=note)
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Display:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def show(self, stage: Stage) -> None:
        """The progress of a running stage, from the metrics that it writes."""
        if stage.name not in self.tasks:
            self.tasks[stage.name] = self.progress.add_task(stage.name, total=stage.steps or None, note="")
        if (last := _last_metrics(stage.output / "metrics.jsonl")) is not None:
            loss = f"step {last['step']:,}" + (f", loss {last['loss']:.3f}" if "loss" in last else "")
            self.progress.update(self.tasks[stage.name], completed=last["step"], note=loss)

    def finish(self, stage: Stage, *, failed: bool) -> None:
        """Moves the bar of all stages on, and leaves a line, which is all that is seen without a terminal."""
        if stage.name in self.tasks:
            self.progress.remove_task(self.tasks.pop(stage.name))
        self.progress.update(self.total, advance=1, note="")
        seconds = time.monotonic() - self.start
        self.progress.console.print(f"{seconds:5.0f} s  {stage.name} {'failed' if failed else 'done'}")


def _last_metrics(path: Path) -> dict[str, float] | None:
    lines = path.read_text().splitlines() if path.is_file() else []
    try:
        return json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        return None  # a line that is being written
