"""Training losses of runs, from their metrics files: as they were logged, and smoothed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from cctuning.data.formats import json_records
from cctuning.reporting.tables import RecordTable
from cctuning.settings.near_matches import did_you_mean
from cctuning.training.metrics import METRICS_FILE, TOKENS, metrics_fault
from cctuning.training.runs import RECIPE_FILE, RunError, read_run_recipe

_WINDOW = 10  # the running mean goes over a tenth of a run's lines


@dataclass(frozen=True)
class Losses:
    """One run, a value for each line of its metrics file that has a finite loss."""

    name: str
    steps: Sequence[int]
    tokens: Sequence[int]  # label tokens trained on so far
    losses: Sequence[float]  # mean nats per label token since the line before
    smoothed: Sequence[float]
    left_out: int  # lines whose loss is not finite


def read_losses(folders: Sequence[str]) -> list[Losses]:
    """The losses of runs by their folders; they are named as in their recipes, or where those are alike by
    their folders.

    A last line that a kill has cut short does not count. Raises `RunError` for a folder without a metrics
    file or losses, and for a line that is none of cctuning train's.
    """
    runs = [_read(Path(folder)) for folder in folders]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(Path(folder)) for folder in folders]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RunError(f"runs: {twice[0]} is there twice")
    return [Losses(name, *_values(run)) for name, run in zip(names, runs, strict=True)]


@dataclass(frozen=True)
class _Run:
    name: str
    lines: list[dict[str, Any]]


def _values(run: _Run) -> tuple[Any, ...]:
    tokens = accumulate(
        sum(int(value) for key, value in line.items() if key.startswith(TOKENS)) for line in run.lines
    )
    points = [
        (line["step"], so_far, float(line["loss"]))
        for line, so_far in zip(run.lines, tokens, strict=True)
        if line["loss"] is not None and math.isfinite(line["loss"])
    ]
    if not points:
        raise RunError(f"{run.name}: no loss is finite: the training has diverged from its first step")
    steps, trained, losses = (list(values) for values in zip(*points, strict=True))
    return steps, trained, losses, smooth(losses), len(run.lines) - len(points)


def smooth(values: Sequence[float]) -> list[float]:
    """A running mean over a tenth of the values, centred; at both ends over as many as there are."""
    half = len(values) // (2 * _WINDOW)
    windows = (values[max(0, place - half) : place + half + 1] for place in range(len(values)))
    return [math.fsum(window) / len(window) for window in windows]


def check_tokens(runs: Sequence[Losses]) -> None:
    """Raises `RunError` for a run whose metrics file counts no tokens."""
    for run in runs:
        if not run.tokens[-1]:
            raise RunError(f"runs: {run.name} has not logged how many tokens it read: x=step draws it")


def losses_csv(runs: Sequence[Losses]) -> str:
    """A line per run and line of its metrics file."""
    rows = [
        (run.name, *values)
        for run in runs
        for values in zip(run.steps, run.tokens, run.losses, run.smoothed, strict=True)
    ]
    return RecordTable(("run", "step", "label_tokens", "loss", "smoothed"), rows).csv()


# --- Reading ------------------------------------------------------------------------------------------------


def _read(folder: Path) -> _Run:
    path = folder / METRICS_FILE
    if not path.is_file():
        raise RunError(f"{folder} {_what_is_there(folder)}")
    lines = []
    records = list(json_records(path))
    for record in records:
        if record.fault and record is records[-1]:
            continue
        if fault := record.fault or metrics_fault(record.values):
            raise RunError(f"{path}, line {record.number}: {fault}")
        if "loss" in record.values:
            lines.append(record.values)
    if not lines:
        raise RunError(f"{path} holds no training loss yet")
    recipe = read_run_recipe(folder) if (folder / RECIPE_FILE).is_file() else {}
    return _Run(str(recipe.get("run_name", folder.name)), lines)


def _what_is_there(folder: Path) -> str:
    """The message for a folder without the metrics file of a run, with what to do."""
    if not folder.exists():
        names = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        return f"does not exist{did_you_mean(folder.name, names)}"
    if not folder.is_dir():
        return "is a file, and must be the folder of a run of cctuning train"
    inner = [path.parent.name for path in sorted(folder.glob(f"*/{METRICS_FILE}"))]
    hint = f"; there are runs in {', '.join(inner)}" if inner else ""
    return f"holds no {METRICS_FILE}, which cctuning train writes{hint}"
