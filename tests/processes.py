"""Processes of their own that start at once: forked from one that has imported all that training needs.

A new interpreter spends seconds on imports; a forked one is as far apart from this process as that, has its
own signals, limits, environment and random states, and runs the script as `python SCRIPT` does.
"""

import gc
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch.multiprocessing

from tests.drafts import figures_as_drafts
from tests.scripts import Ended

ROOT = Path(__file__).resolve().parents[1]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.scripts", "cctuning.training.trainer", "cctuning.commands.train_model"]
)


@dataclass
class Started:
    """A running process. What it prints goes to two files in `folder`."""

    process: ForkServerProcess
    out: Path
    err: Path

    def send(self, number: int) -> None:
        """Sends a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 600) -> Ended:
        """How it ended; the status of one that was killed is the signal's number below zero."""
        self.process.join(seconds)
        status = self.process.exitcode
        if status is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"still running after {seconds} s:\n{self.err.read_text()}")
        return Ended(status, self.out.read_text(), self.err.read_text())


def start(
    script: str,
    *words: str,
    folder: Path,
    variables: Mapping[str, str] = {},
    before: Callable[[], object] | None = None,
) -> Started:
    """Starts `python SCRIPT WORDS...` in the working folder; `before` is called in the new process."""
    printed = Path(tempfile.mkdtemp(prefix="printed-", dir=folder))
    out, err = printed / "out", printed / "err"
    process = _CONTEXT.Process(
        target=_run, args=(Path.cwd(), script, words, dict(variables), before, out, err)
    )
    process.start()
    return Started(process, out, err)


def start_two(
    script: str, *words: str, folder: Path, before: Callable[[], object] | None = None
) -> list[Started]:
    """Starts two processes that train together, in the environment that a launcher sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    together |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    return [
        start(script, *words, folder=folder, variables={**together, **rank}, before=before)
        for rank in ({"RANK": number, "LOCAL_RANK": number} for number in "01")
    ]


def run_together(work: Callable[..., None], processes: int, *given: object) -> None:
    """Runs `work(number, *given)` in several processes at once, and raises what one of them raised."""
    torch.multiprocessing.start_processes(work, given, processes, start_method="forkserver")


def _run(
    folder: Path,
    script: str,
    words: tuple[str, ...],
    variables: dict[str, str],
    before: Callable[[], object] | None,
    out: Path,
    err: Path,
) -> None:
    gc.freeze()  # as in conftest.py
    os.fsync = lambda file: None
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(variables)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a shell's foreground
    if before:
        before()
    sys.argv = [script, *words]
    with figures_as_drafts():
        runpy.run_path(str(ROOT / script), run_name="__main__")
