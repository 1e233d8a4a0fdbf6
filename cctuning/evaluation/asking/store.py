"""Responses on disk while an evaluation runs: what is there after a kill is whole batches, and they count."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cctuning.data.formats import DataError
from cctuning.evaluation.asking.sample_files import (
    MADE_FILES,
    RESPONSE_KINDS,
    RESULTS_FILE,
    ResultsError,
    object_fault,
    read_sample_file,
    samples_path,
)
from cctuning.evaluation.asking.timings import TIMINGS_FILE, read_speeds
from cctuning.settings.changes import changed_settings, other_settings, rounding_note
from cctuning.tools.files import write_whole
from cctuning.tools.growing_files import BrokenLineError, add_lines, keep_lines, recover_lines
from cctuning.tools.json_text import from_json, to_json
from cctuning.tools.marks import begin

SETTINGS_FILE = "evaluation.json"
_LINE_KINDS = RESPONSE_KINDS | {"response": str, "left_in_batch": int}


class ResumeError(ValueError):
    """A folder that holds something else than the evaluation that should go on there."""


class ResponseFile:
    """The responses of one task, a JSON object a line, in the order of its batches."""

    def __init__(self, folder: str | Path, task: str) -> None:
        self.path = Path(folder) / f"samples_{task}.jsonl.part"

    def recover(self) -> list[dict[str, Any]]:
        """The responses of all whole batches; what a kill left beyond them is cut off.

        Raises `ResumeError` for a line that is no response.
        """
        try:
            responses = recover_lines(self.path, _response)
        except BrokenLineError as error:
            raise ResumeError(
                f"{error}: is no line of responses: set another output_dir, or resume=never to ask "
                "everything anew"
            ) from error
        whole = max((n for n, row in enumerate(responses, 1) if row["left_in_batch"] == 0), default=0)
        if whole < len(responses):
            keep_lines(self.path, whole)
        for response in responses:
            del response["left_in_batch"]
        return responses[:whole]

    def append(self, batch: Sequence[Mapping[str, Any]]) -> None:
        """Adds a batch, and sees to it that it is on the disk."""
        left = range(len(batch) - 1, -1, -1)
        rows = [{**response, "left_in_batch": number} for response, number in zip(batch, left, strict=True)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        add_lines(self.path, rows)


def _response(line: Any) -> dict[str, Any]:
    if fault := object_fault(line, _LINE_KINDS):
        raise ValueError(fault)
    return dict(line)


def write_samples(folder: str | Path, task: str, samples: Sequence[Mapping[str, Any]]) -> None:
    """Writes the samples of a finished task, which take the place of its bare responses."""
    write_whole(samples_path(folder, task), "".join(to_json(sample) + "\n" for sample in samples))
    ResponseFile(folder, task).path.unlink(missing_ok=True)


def read_task(folder: str | Path, task: str) -> list[dict[str, Any]]:
    """The samples of a task; none where it is not finished. Raises `ResumeError` for a damaged file."""
    path = samples_path(folder, task)
    try:
        return read_sample_file(path) if path.exists() else []
    except (ResultsError, DataError) as error:
        raise ResumeError(f"{error}. Take the file away, and its questions are asked again") from error


@dataclass(frozen=True)
class StoredTask:
    """Record of a task in a folder, beside its responses."""

    benchmark: str
    language: str
    fingerprint: str  # of its questions
    left_out: dict[str, list[int | str]]  # ids of questions that were not asked, by reason


def open_folder(
    folder: str | Path,
    settings: Mapping[str, Any],
    tasks: Mapping[str, StoredTask],
    *,
    resume: str = "auto",
    warn: Callable[[str], object] = lambda note: None,
) -> dict[str, StoredTask]:
    """Makes `folder` ready for an evaluation of `tasks` under `settings`; returns all tasks that it has now.

    What was made of the samples so far goes: it is made again at the end, and says until then that nothing
    is missing. With resume=never the responses go too. `warn` is called with what may move the rest by
    rounding. Raises `ResumeError` where the folder holds responses that were made in another way, to other
    questions, or in an unknown way, or damaged ones, and where it is the folder of a model or of another
    script.
    """
    folder = Path(folder)
    path = folder / SETTINGS_FILE
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known_settings, known = ({}, {}) if resume == "never" else _read(path)
    if resume != "never":
        _refuse_others(folder, known_settings, known, settings, tasks)
        if note := rounding_note("evaluate", known_settings, settings):
            warn(note)
        stored_speeds(folder)
        for name in {**known, **tasks}:  # before anything is asked, which takes long
            read_task(folder, name)
            ResponseFile(folder, name).recover()
    begin(folder, *MADE_FILES)
    if resume == "never":
        # The settings last: a kill in between must not leave responses of unknown origin.
        for old in (*_responses_in(folder), folder / TIMINGS_FILE, path):
            old.unlink(missing_ok=True)
    known |= tasks
    listed = {name: asdict(task) for name, task in known.items()}
    content = {"settings": dict(settings), "tasks": listed}
    write_whole(path, to_json(content, indent=2) + "\n")
    return known


def _responses_in(folder: Path) -> list[Path]:
    return sorted([*folder.glob("samples_*.jsonl"), *folder.glob("samples_*.jsonl.part")])


def _refuse_foreign(folder: Path) -> None:
    """Raises `ResumeError` for a folder with files of something else that would be written over."""
    names = ["config.json"] if _responses_in(folder) else ["config.json", "recipe.yaml", RESULTS_FILE]
    foreign = [name for name in names if (folder / name).exists()]
    if foreign and not (folder / SETTINGS_FILE).exists():
        raise ResumeError(
            f"{folder} holds {foreign[0]}, and no {SETTINGS_FILE} of an evaluation: set another output_dir"
        )


def stored_speeds(folder: str | Path) -> dict[str, dict[str, float]]:
    """The speeds of a folder's tasks (`timings.read_speeds`). Raises `ResumeError` for a damaged file."""
    try:
        return read_speeds(folder)
    except BrokenLineError as error:
        raise ResumeError(f"{error}: is no line of timings. Take the file away to go on without") from error


def _refuse_others(
    folder: Path,
    known_settings: Mapping[str, Any],
    known: Mapping[str, StoredTask],
    settings: Mapping[str, Any],
    tasks: Mapping[str, StoredTask],
) -> None:
    """Raises `ResumeError` where `folder` holds responses that do not belong to this evaluation."""
    if not known and (responses := _responses_in(folder)):
        raise ResumeError(
            f"{folder} holds {responses[0].name} and no {SETTINGS_FILE} that says how it was made: set "
            "another output_dir, or resume=never to remove it"
        )
    changed = changed_settings("evaluate", known_settings, settings) if known else []
    changed += [
        f"{name}: other questions than before"
        for name, task in tasks.items()
        if name in known and known[name].fingerprint != task.fingerprint
    ]
    if changed:
        remedy = "Set another output_dir, or resume=never to ask everything anew"
        raise ResumeError(other_settings(f"{folder} holds an evaluation", changed, remedy))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, StoredTask]]:
    try:
        content = from_json(path.read_text(encoding="utf-8"))
        tasks = {name: StoredTask(**task) for name, task in content["tasks"].items()}
        return dict(content["settings"]), tasks
    except FileNotFoundError:
        return {}, {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResumeError(
            f"{path} was not written by an evaluation or is damaged: set another output_dir, or resume=never"
        ) from error
