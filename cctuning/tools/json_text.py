"""JSON as its standard has it: without NaN and Infinity, which Python writes and reads unasked."""

import json
import math
from typing import Any


def to_json(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON text. Raises `ValueError` where a number in it is not finite."""
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)


def from_json(text: str | bytes) -> Any:
    """The value of JSON text. Raises `ValueError` for what is none, and for a number that is not finite."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(name: str) -> float:
    raise ValueError(f"holds {name}, which is no number and no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"holds {text}, which is beyond the numbers that there are")
    return number


def non_finite(value: Any, place: str = "") -> str | None:
    """The place of the first number that is not finite in a decoded value, as `scores.f1`; None for none."""
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    places = (non_finite(item, f"{place}.{key}".lstrip(".")) for key, item in pairs)
    return next(filter(None, places), None)
