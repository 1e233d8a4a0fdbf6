"""Known faults of benchmark items: read beside the data, and left out on demand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.data.fields import type_name
from cctuning.data.formats import DataError
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item

FILE = "anomalies.json"

# Title of the benchmark -> language -> reason -> ids.
KnownIssues = Mapping[str, Mapping[str, Mapping[str, Sequence[int | str]]]]


def known_issues_file(folder: str | Path) -> Path | None:
    """The list of known faults of the items in `folder`, in it or its parent; None where there is none."""
    folder = Path(folder).expanduser().resolve()
    return next((place / FILE for place in (folder, folder.parent) if (place / FILE).is_file()), None)


def read_known_issues(folder: str | Path) -> KnownIssues:
    """The known faults of the items in `folder`, from its anomalies.json, or its parent's; often none.

    The file holds an object: `NAME/TITLE` (NAME is the folder's) or `TITLE` -> language -> reason -> list of
    ids. What is no list is a note for readers. Raises `DataError` for a file that is something else.
    """
    folder = Path(folder).expanduser().resolve()
    path = known_issues_file(folder)
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    faults: dict[str, dict[str, dict[str, Sequence[int | str]]]] = {}
    for name, languages in _object(path, content, "").items():
        group, _, title = name.rpartition("/")
        of_this_folder = group == folder.name or (not group and path.parent == folder)
        if of_this_folder and not isinstance(languages, str):
            faults[title] = {
                language: _reasons(path, reasons, f"{name}, {language}")
                for language, reasons in _object(path, languages, name).items()
            }
    return faults


def without_known_issues(
    items: Sequence[Item], faults: KnownIssues, benchmark: Benchmark
) -> tuple[list[Item], dict[str, list[int | str]]]:
    """The items without a known fault, in their order, and the ids of the others by reason.

    An item with two faults is under both reasons.
    """
    left_out: dict[str, list[int | str]] = {}
    kept: list[Item] = []
    known = faults.get(benchmark.title, {})
    for item in items:
        reasons = [reason for reason, ids in known.get(item.language, {}).items() if item.id in ids]
        for reason in reasons:
            left_out.setdefault(reason, []).append(item.id)
        if not reasons:
            kept.append(item)
    return kept, left_out


def _object(path: Path, value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{path}{', ' * bool(name)}{name}: is {type_name(value)}, must be an object")
    return value


def _reasons(path: Path, reasons: Any, name: str) -> dict[str, Sequence[int | str]]:
    """The lists of ids among the entries of a language."""
    by_reason: dict[str, Sequence[int | str]] = {}
    for reason, ids in _object(path, reasons, name).items():
        if isinstance(ids, list):
            if bad := [id_ for id_ in ids if isinstance(id_, bool) or not isinstance(id_, int | str)]:
                raise DataError(f"{path}, {name}, {reason}: holds {type_name(bad[0])}, must be ids")
            by_reason[reason] = ids
    return by_reason
