"""The metrics file of a run: a line of JSON for each logging step."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cctuning.data.fields import type_name
from cctuning.tools.json_text import from_json

METRICS_FILE = "metrics.jsonl"
EVALUATED = "eval_"  # begins a name of what is measured meanwhile, on what is not trained on
EVALUATED_LOSS = f"{EVALUATED}loss"
TOKENS = "tokens/"  # begins a name in it: label tokens, then a language
CHOICE_ENTROPY = "decision_maker/entropy"  # of the softmax of its logits, nats
LAYER_SHARE = "decision_maker/layer_"  # begins a name: the share of rows that took a layer, then its number


def metrics_fault(values: Any) -> str | None:
    """What keeps a decoded line from being one of a metrics file; None where nothing does."""
    if not isinstance(values, Mapping):
        return f"is {type_name(values)}, must be an object"
    numbers = {
        key: value for key, value in values.items() if key in ("step", "loss") or key.startswith(TOKENS)
    }
    if "step" not in numbers:
        return "step: is missing"
    if numbers.get("loss", 0) is None:  # it was not finite
        del numbers["loss"]
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{key}: is {type_name(value)}, must be a number"
    return None


def metric_steps(path: Path) -> Iterator[tuple[str, float]]:
    """The lines of a metrics file and their steps; a last one that a kill has cut short has none.

    Raises `ValueError` for another line that is none of a metrics file.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            fault = metrics_fault(values)
        except ValueError as error:
            if number == len(lines):
                return
            fault = f"no JSON ({error})"
        if fault:
            raise ValueError(f"{path}, line {number}: {fault}: take the line away, and the run goes on")
        yield line, values["step"]


def read_metrics(path: str | Path, name: str = "loss") -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl` that hold the value `name`, a training loss, in the order of steps.

    Raises `ValueError` for a line that is no JSON, holds a number that is not finite, or is none of training.
    """
    losses = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = from_json(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        if fault := metrics_fault(values):
            raise ValueError(f"{path}, line {number}: {fault}")
        losses += [values] if name in values else []
    return losses
