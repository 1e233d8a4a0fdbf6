"""Whether what a folder holds was made with the settings of this call: one comparison for every command."""

from collections.abc import Mapping, Sequence
from typing import Any

_OF_A_CALL = frozenset({"run_name", "output_dir", "dry_run", "resume"})

# By command, the settings that change no result: they may differ between a result and the call that goes on
# with it. Where a model lies is compared by what is in its folder, not by its path.
WITHOUT_EFFECT: Mapping[str, frozenset[str]] = {
    "train": _OF_A_CALL | {"report_to", "save_total_limit", "dataloader_num_workers"},
    "fit": _OF_A_CALL | {"model", "batch_size", "use_cpu"},
    "evaluate": _OF_A_CALL | {"model", "batch_size", "batch_tokens", "use_cpu"},
}


def changed_settings(
    saved: Mapping[str, Any], wanted: Mapping[str, Any], *, without_effect: frozenset[str] = frozenset()
) -> list[str]:
    """The settings that differ, as `key: before -> now` in the order of their keys, with dots for groups.

    A setting that one of both lacks is None there. Those in `without_effect` may differ.
    """
    before, now = _flat(saved), _flat(wanted)
    keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    return [f"{key}: {before.get(key)!r} -> {now.get(key)!r}" for key in keys if key not in without_effect]


def other_settings(holds: str, changed: Sequence[str], remedy: str) -> str:
    """The message that `holds`, such as "DIR holds a run", was made with other settings, and what to do."""
    return "\n".join([f"{holds} with other settings:", *(f"  {line}" for line in changed), remedy])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
