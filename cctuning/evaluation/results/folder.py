"""Result folders: how the results of an evaluation are written, and read again with its samples."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.evaluation.asking.sample_files import RESULTS_FILE, ResultsError, read_sample_file, samples_path
from cctuning.evaluation.asking.store import SETTINGS_FILE
from cctuning.evaluation.results.figures import plot_scores
from cctuning.evaluation.results.results import TaskKey
from cctuning.evaluation.results.score_rows import ScoreRow, score_rows
from cctuning.evaluation.results.tables import csv_text, markdown_text
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import from_json, to_json
from cctuning.tools.marks import finish


def write_results(folder: str | Path, results: Mapping[str, Any]) -> None:
    """Writes `results.json`, `table.md`, `table.csv` and the figure `scores.png` and `.svg` into `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "table.md", markdown_text(results))
    write_whole(folder / "table.csv", csv_text(results))
    plot_scores(results, [folder / "scores.png", folder / "scores.svg"])
    text = to_json(results, indent=2)
    finish(folder, RESULTS_FILE, text + "\n")


def read_results(folder: str | Path) -> dict[str, Any]:
    """The content of `results.json`. Raises `ResultsError` that says what is there instead."""
    path = Path(folder) / RESULTS_FILE
    if not path.is_file():
        raise ResultsError(f"{folder} {_what_is_there(Path(folder))}")
    try:
        results = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultsError(f"{path} cannot be read: {error}") from error
    try:
        rows = list(score_rows(results))
        if rows:
            _check(results, rows)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ResultsError(
            f"{path} was not written by cctuning evaluate, or changed since: {type(error).__name__}, {error}"
        ) from error
    if not rows:
        raise ResultsError(f"{path} holds no scores")
    return dict(results)


def _check(results: Mapping[str, Any], rows: Sequence[ScoreRow]) -> None:
    """Looks at all that is read of results later; what is missing or no number is an error of Python's."""
    dict(results["config"]), dict(results["average"])
    for task, config in results["configs"].items():
        for key in ("benchmark", "title", "language", "parallel", "main_metric"):
            config[key]
        int(results["n-samples"][task]["effective"])
    for row in rows:
        math.fsum([row.value, *row.interval, row.error or 0.0])


def _what_is_there(folder: Path) -> str:
    """The message for a folder without results, with what to do."""
    if not folder.exists():
        parent = folder.parent
        names = [path.name for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
        return f"does not exist{did_you_mean(folder.name, names)}"
    if not folder.is_dir():
        return "is a file, and must be a folder that cctuning evaluate wrote"
    names = [path.name for path in folder.iterdir()]
    if SETTINGS_FILE in names or any(name.startswith("samples_") for name in names):
        return "holds an evaluation that has not finished: give its command again, and it goes on"
    if any(re.fullmatch(r"results_.*\.json", name) for name in names):
        return "holds results of lm-evaluation-harness; what is compared here are those of cctuning evaluate"
    if "config.json" in names:
        return f"is a model's folder: cctuning evaluate model={folder} output_dir=... writes results"
    return f"holds no {RESULTS_FILE}, which cctuning evaluate writes at its end" if names else "is empty"


def read_samples(folder: str | Path) -> Iterator[tuple[TaskKey, list[dict[str, Any]]]]:
    """The samples of each task of a result folder, one task at a time.

    Raises `ResultsError` for a file that is missing, has a line that is no sample, a question twice, or
    another number of samples than `results.json` counts.
    """
    results = read_results(folder)
    for task, config in results["configs"].items():
        path = samples_path(folder, task)
        if not path.is_file():
            raise ResultsError(f"{path} is missing, and {RESULTS_FILE} beside it names its task")
        samples = read_sample_file(path)
        count = results["n-samples"][task]["effective"]
        if len(samples) != count:
            raise ResultsError(f"{path} holds {len(samples):,} samples, and {RESULTS_FILE} counts {count:,}")
        yield (config["benchmark"], config["language"]), samples
