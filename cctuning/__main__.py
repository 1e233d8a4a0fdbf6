"""The console command: `cctuning COMMAND ...`, also as `python -m cctuning COMMAND ...`."""

from __future__ import annotations

import importlib
import sys

from cctuning.commands.run import run
from cctuning.distributed.engines import leave_processes

COMMANDS = {
    "train": "train_model",
    "fit": "fit_transform",
    "evaluate": "evaluate_model",
    "compare": "compare_results",
    "probe": "probe_model",
    "study": "run_study",
    "visualize": "draw_figures",
    "chat": "chat_with_model",
}
STOPPED = {
    "train": "stopped; with resume=auto the same command goes on from the newest checkpoint, if any",
    "evaluate": "stopped: the same command goes on from here",
    "probe": "stopped: the same command goes on from here",
    "study": "stopped; the same command goes on with what is not done",
}


def main(command: str | None = None) -> None:
    """Runs `command` on the arguments of the command line, whose first one it is by default."""
    if command is None:
        command = sys.argv.pop(1)
    module = importlib.import_module(f"cctuning.commands.{COMMANDS[command]}")
    run(module.main, stopped=STOPPED.get(command, "stopped"))
    leave_processes()


if __name__ == "__main__":
    main()
