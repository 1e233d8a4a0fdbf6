"""What a command costs before it works, over `import numpy, omegaconf`: help, wrong keys and recipes.

python -m benchmarks.startup [--repeats 7 --commands train evaluate]

Processor time, user and system, of a process of its own with all that it starts; a clock would count what
else the machine does, too.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.interleaved import as_row, by_turns, parser_of, ratio_columns, ratio_of, report
from cctuning.commands.registry import COMMANDS
from cctuning.reporting.tables import Columns

RIVAL = ["-c", "import numpy, omegaconf"]
# What is typed behind a command, and the status that it has to end with.
CASES = {"--help": 0, "misspelt_key=1": 2, "recipe=missing_recipe": 2}


def run(arguments: list[str], status: int) -> None:
    """Runs this interpreter as a new process. Raises `RuntimeError` where it ends with another status."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if ended.returncode != status:
        raise RuntimeError(f"{arguments} ended with {ended.returncode}, not {status}: {ended.stderr[-2000:]}")


def processor_seconds(call: Callable[[], Any]) -> float:
    """User and system time of the processes that a call starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures all commands by turns, prints a table and writes the JSON report."""
    parser = parser_of(__doc__, repeats=7)
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args()
    cases = [(command, typed, status) for command in options.commands for typed, status in CASES.items()]
    calls: dict[str, Callable[[], Any]] = {"rival": partial(run, RIVAL, 0)}
    for command, typed, status in cases:
        calls[f"{command} {typed}"] = partial(run, ["-m", "cctuning", command, typed], status)
    times = by_turns(calls, repeats=options.repeats, warmup=1, measure=processor_seconds)
    results = []
    for command, typed, _ in cases:
        measured = ratio_of(times["rival"], times[f"{command} {typed}"])
        results.append(as_row(measured, command=command, typed=typed))
    columns: Columns = {"cctuning": lambda row: f"{row['command']} {row['typed']}"}
    columns = {**columns, **ratio_columns("import", "command", digits=1)}
    report("startup", columns, results, "processor time of a start")


if __name__ == "__main__":
    main()
