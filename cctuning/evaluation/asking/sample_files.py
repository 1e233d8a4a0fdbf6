"""The files of a result folder, and those of samples: one a task, a JSON object a line, in order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cctuning.data.fields import type_name
from cctuning.data.formats import json_records
from cctuning.tools.json_text import non_finite

RESULTS_FILE = "results.json"
# What is made of samples, each time anew; the first tells that an evaluation is complete.
MADE_FILES = (RESULTS_FILE, "table.md", "table.csv", "scores.png", "scores.svg")
# What is kept of a response beside its text, and what kind it is: all scores are made from these and the
# question.
RESPONSE_KINDS: dict[str, Any] = {
    "doc_id": (int, str),
    "last_tokens": str,
    "new_tokens": int,
    "stopped": bool,
    "connected": bool,
    "layer": (int, type(None)),
}
_SAMPLE_KINDS = RESPONSE_KINDS | {"resps": list, "scores": dict, "doc": dict, "target": list}


class ResultsError(ValueError):
    """A folder that does not hold the results of an evaluation, or not all: which, why, and what to do."""


def samples_path(folder: str | Path, task: str) -> Path:
    """The file of a finished task."""
    return Path(folder) / f"samples_{task}.jsonl"


def read_sample_file(path: Path) -> list[dict[str, Any]]:
    """The samples of a finished task.

    Raises `ResultsError` for a line that is no sample and for a question that is there twice.
    """
    samples: list[dict[str, Any]] = []
    lines: dict[int | str, int] = {}
    for record in json_records(path):
        fault = record.fault or _sample_fault(record.values)
        if fault is None and (place := non_finite(record.values)):
            fault = f"{place}: is NaN or infinite, and a score of it would be too"
        if fault is None and record.values["doc_id"] in lines:
            fault = f"doc_id: {record.values['doc_id']!r} is in line {lines[record.values['doc_id']]} too"
        if fault:
            raise ResultsError(f"{path}, line {record.number}: {fault}")
        lines[record.values["doc_id"]] = record.number
        samples.append(record.values)
    return samples


def object_fault(value: Any, kinds: Mapping[str, Any]) -> str | None:
    """The fault of a decoded line that should be an object with values of these kinds."""
    if not isinstance(value, dict):
        return f"is {type_name(value)}, must be an object"
    for key, kind in kinds.items():
        field = value.get(key)
        if key not in value or not isinstance(field, kind) or isinstance(field, bool) != (kind is bool):
            return f"{key}: is {type_name(field) if key in value else 'missing'}"
    return None


def _sample_fault(sample: Any) -> str | None:
    """The fault of a line of a samples file."""
    if fault := object_fault(sample, _SAMPLE_KINDS):
        return fault
    if [type(text) for response in sample["resps"] for text in response] != [str]:
        return "resps: must be one response, [[text]]"
    for metric, score in sample["scores"].items():
        known = isinstance(score, int | float) and 0 <= score <= 1
        if score is not None and not known:
            return f"scores, {metric}: must be a number from 0 to 1 or null"
    return None
