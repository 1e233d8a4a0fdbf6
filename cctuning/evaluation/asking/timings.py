"""Seconds that a model takes for its responses: a line a batch, beside them, so that resuming keeps them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.tools.growing_files import add_lines, recover_lines

TIMINGS_FILE = "timings.jsonl"


def add_timing(folder: str | Path, task: str, responses: Sequence[Mapping[str, Any]], seconds: float) -> None:
    """Adds a batch of responses of a task, which took so many seconds. Raises `OSError`."""
    new_tokens = sum(response["new_tokens"] for response in responses)
    line = {"task": task, "questions": len(responses), "new_tokens": new_tokens, "seconds": seconds}
    add_lines(Path(folder) / TIMINGS_FILE, [line])


def read_speeds(folder: str | Path) -> dict[str, dict[str, float]]:
    """Seconds and new tokens a second of each task, over all calls; of several processes their sum.

    Raises `BrokenLineError` for a line that is none.
    """
    totals: dict[str, tuple[float, float]] = {}

    def timing(line: Any) -> tuple[str, float, float]:
        return str(line["task"]), float(line["new_tokens"]), float(line["seconds"])

    for task, new_tokens, seconds in recover_lines(Path(folder) / TIMINGS_FILE, timing):
        tokens_before, seconds_before = totals.get(task, (0.0, 0.0))
        totals[task] = tokens_before + new_tokens, seconds_before + seconds
    return {
        task: {"seconds": seconds, "tokens_per_second": tokens / seconds if seconds else 0.0}
        for task, (tokens, seconds) in totals.items()
    }
