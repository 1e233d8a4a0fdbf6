"""Origin of the files of a data folder: `manifest.json` beside them, one entry for each script that ran.

An entry holds the command, the versions, the seed and the settings, the files that were read and written with
their SHA-256, the rows per language, and how many rows were left out, by reason.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.data.rows import Row
from cctuning.tools.files import sha256, write_whole

MANIFEST = "manifest.json"


class ManifestError(ValueError):
    """A manifest that cannot be read."""


def write_manifest(
    path: str | Path,
    *,
    command: Sequence[str],
    inputs: Iterable[str | Path],
    outputs: Sequence[str | Path],
    counts: Mapping[str, int],
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    left_out: Mapping[str, int] | None = None,
    packages: Iterable[str] = (),
    checksums: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Adds an entry to the manifest of a folder, and returns it.

    Entries of files that are written again by this one, or are no longer there, are dropped: the manifest
    says how the files that are there now were made, in the order in which they were.

    Args:
        path: the folder of the outputs, or its `manifest.json`.
        command: what was typed, such as `["cctuning", "prepare", "clean", "data/mine.jsonl"]`.
        inputs: files, folders (every file in them that is not hidden), and names of what is no file: a hub
            data set, a model, an address.
        outputs: the files that were written.
        counts: language -> rows that were written.
        seed: of what was drawn at random.
        settings: the options that shape the result.
        left_out: reason -> rows.
        packages: distributions whose versions matter, beside this one's and Python's.
        checksums: address -> SHA-256 of what it gave, of those among `inputs`.

    Raises `ManifestError` where there is a manifest that cannot be read, and `OSError`.
    """
    path = manifest_path(path)
    folder = path.parent
    entry: dict[str, Any] = {
        "command": shlex.join(command),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": _versions(packages),
        "seed": seed,
        "settings": dict(settings or {}),
        "inputs": [_described(file, folder, checksums) for name in inputs for file in _files(name)],
        "outputs": [_described(file, folder) for file in outputs],
        "rows": {"all": sum(counts.values()), **{language: counts[language] for language in sorted(counts)}},
        "left_out": dict(left_out or {}),
    }
    written = {output["file"] for output in entry["outputs"]}
    entries = read_manifest(path) if path.exists() else []
    kept = []
    for earlier in entries:
        names = _names(earlier["outputs"])
        if not written & names and any((folder / name).is_file() for name in names):
            kept.append(earlier)
    write_whole(path, json.dumps([*kept, entry], ensure_ascii=False, indent=2) + "\n")
    return entry


def read_manifest(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a folder's manifest. Raises `ManifestError` where there is none, and `OSError`."""
    path = manifest_path(path)
    if not path.is_file():
        raise ManifestError(f"{path} does not exist: `cctuning prepare` writes it beside its files")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ManifestError(f"{path} is not a manifest: {error}") from error
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise ManifestError(f"{path} is not a manifest: it holds no list of entries with inputs and outputs")
    return entries


def changed_files(path: str | Path) -> list[str]:
    """A line for each file that is no longer what a manifest says: missing, or with other content.

    Inputs count where they are still there. Raises `ManifestError` and `OSError`.
    """
    path = manifest_path(path)
    changes = []
    for entry in read_manifest(path):
        for described in entry["outputs"]:
            if fault := _fault(described, path.parent):
                changes.append(
                    f"{described['file']} {fault} ({entry.get('command', 'of an unknown command')})"
                )
        made = ", ".join(sorted(_names(entry["outputs"])))
        for described in entry["inputs"]:
            fault = _fault(described, path.parent) if "file" in described else None
            if fault and fault != _MISSING:
                changes.append(f"{described['file']} {fault}, after {made} was made from it")
    return list(dict.fromkeys(changes))


def count_languages(rows: Iterable[Row]) -> dict[str, int]:
    """Language -> rows."""
    return dict(Counter(row.language for row in rows))


def manifest_path(path: str | Path) -> Path:
    """The manifest of a folder; of a file, the one beside it; of a manifest, itself."""
    path = Path(path)
    if path.name == MANIFEST:
        return path
    return (path.parent if path.suffix and not path.is_dir() else path) / MANIFEST


# --- Entries ------------------------------------------------------------------------------------------------

_MISSING = "is missing"


def _files(name: str | Path) -> list[str | Path]:
    """The files that a name stands for; the name itself where it is no folder. Hidden ones do not count."""
    folder = Path(name)
    if not folder.is_dir():
        return [name]
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    return [path for path in paths if not any(part[0] == "." for part in path.relative_to(folder).parts)]


def _described(name: str | Path, folder: Path, checksums: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A file with its size and hash, by its path from the manifest's folder; an address with its hash."""
    path = Path(name)
    if not path.is_file():
        known = (checksums or {}).get(str(name))
        return {"name": str(name), **({"sha256": known} if known else {})}
    shown = Path(os.path.relpath(path.resolve(), folder.resolve()))
    return {"file": shown.as_posix(), "bytes": path.stat().st_size, "sha256": sha256(path)}


def _fault(described: Mapping[str, Any], folder: Path) -> str | None:
    """The fault of a file that a manifest describes."""
    path = folder / described["file"]
    if not path.is_file():
        return _MISSING
    return None if sha256(path) == described["sha256"] else "has another content"


def _names(files: Iterable[Mapping[str, Any]]) -> set[str]:
    return {file["file"] for file in files if "file" in file}


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(key), list) and all(map(_is_file, entry[key])) for key in ("inputs", "outputs")
    )


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and (
        {"file", "sha256"} <= value.keys() or (isinstance(value.get("name"), str) and "file" not in value)
    )


def _versions(packages: Iterable[str]) -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("cctuning", *packages):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
