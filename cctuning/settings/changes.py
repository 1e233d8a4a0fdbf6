"""Whether what a folder holds was made with the settings of this call: one comparison for every command."""

from collections.abc import Mapping, Sequence
from typing import Any

from cctuning.settings.keys import completed

NOT_SET = "not set"
_OF_A_CALL = frozenset({"run_name", "output_dir", "dry_run", "resume"})
_HUB = frozenset({"push_to_hub", "hub_model_id", "hub_private_repo"})
# How work is shared out: it moves results by no more than rounding, and noise where any is drawn.
ROUNDING: Mapping[str, frozenset[str]] = {
    "train": frozenset(
        {
            "per_device_train_batch_size", "gradient_accumulation_steps", "total_batch_size",
            "gradient_checkpointing", "english_buckets",
        }
    ),
    "fit": frozenset({"batch_size", "use_cpu"}),
    "evaluate": frozenset(
        {"batch_size", "batch_tokens", "attn_implementation", "use_cpu", "engine", "engine_arguments"}
    ),
    "probe": frozenset({"batch_size", "rows", "use_cpu"}),
}  # fmt: skip
# By command, the settings that change no result: they may differ between a result and the call that goes on
# with it. Where a model lies is compared by what is in its folder (`pretrained.identity`), not by its path.
WITHOUT_EFFECT: Mapping[str, frozenset[str]] = {
    "train": _OF_A_CALL
    | _HUB
    | ROUNDING["train"]
    | {"report_to", "save_strategy", "save_steps", "save_total_limit", "dataloader_num_workers"},
    "fit": _OF_A_CALL | _HUB | ROUNDING["fit"] | {"model"},
    "evaluate": _OF_A_CALL | _HUB | ROUNDING["evaluate"] | {"model"},
    "probe": _OF_A_CALL | ROUNDING["probe"] | {"model"},
}


def changed_settings(
    command: str, saved: Mapping[str, Any], wanted: Mapping[str, Any], *, schema: type[Any] | None = None
) -> list[str]:
    """The settings that differ, as `key: before -> now` in the order of their keys, with dots for groups.

    Of recipes of a `schema`, a key that `saved` lacks has the value that it stood for before there was such a
    key (`keys.completed`). Any other setting that one of both lacks is `NOT_SET` there. Those without an
    effect on the command may differ; of a training's batches it is the rows of a step that must not.
    """
    if schema is not None:
        saved = completed(schema, saved)
    before, now = (_flat({**settings, **_together(command, settings)}) for settings in (saved, wanted))
    keys = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    return [
        f"{key}: {_value(before, key)} -> {_value(now, key)}"
        for key in keys
        if key not in WITHOUT_EFFECT[command]
    ]


def rounding_note(command: str, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The warning where settings differ that move the rest of the work by rounding; "" for none."""
    names = sorted(ROUNDING[command] & saved.keys() & wanted.keys())
    changed = [
        f"{name}: {saved[name]!r} -> {wanted[name]!r}" for name in names if saved[name] != wanted[name]
    ]
    if not changed:
        return ""
    return f"{', '.join(changed)}: the rest may differ from that of an uninterrupted call, by rounding"


def other_settings(holds: str, changed: Sequence[str], remedy: str) -> str:
    """The message that `holds`, such as "DIR holds a run", was made with other settings, and what to do."""
    lines = [f"{holds} with other settings:", *(f"  {line}" for line in changed)]
    if any(NOT_SET in line for line in changed):
        lines.append(f"({NOT_SET}: as it is by default, or unknown to the version of cctuning that wrote it)")
    return "\n".join([*lines, remedy])


def rows_of_a_step(settings: Mapping[str, Any], processes: int = 1) -> int | None:
    """The rows of an optimizer step of a training's settings; with `processes`, of all of them."""
    if (passes := settings.get("gradient_accumulation_steps")) is None:
        return settings.get("total_batch_size")
    return int(settings["per_device_train_batch_size"] * passes * processes)


def _together(command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What several settings, which may each differ, must agree in together."""
    if command != "train":
        return {}
    reentrant = settings.get("gradient_checkpointing_reentrant")
    aligned = settings.get("connection", {}).get("alignment")
    return {
        "rows_of_a_step": settings.get("rows_of_a_step", rows_of_a_step(settings)),
        # From which a row is to tell its own English prompt.
        "rows_of_a_pass": settings.get("per_device_train_batch_size") if aligned else None,
        # Of which checkpoints the best one is taken.
        "saves": settings.get("load_best_model_at_end")
        and [settings.get(name) for name in ("save_strategy", "save_steps")],
        # It passes no gradient to English outputs.
        "gradient_checkpointing_reentrant": bool(reentrant and settings.get("gradient_checkpointing")),
    }


def _value(settings: Mapping[str, Any], key: str) -> str:
    return repr(settings[key]) if key in settings else NOT_SET


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
