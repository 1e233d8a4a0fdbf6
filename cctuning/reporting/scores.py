"""How scores and their differences are written: shares in %, with what is known of their 95 % intervals."""

from collections.abc import Sequence

from cctuning.stats.bootstrap import Interval


def percent(value: float, *, signed: bool = False) -> str:
    """A score or a difference of scores in %, with one decimal."""
    text = f"{100 * value:{'+' if signed else ''}.1f}"
    return text.replace("-0.0", "0.0").replace("+0.0", "0.0") if text in ("-0.0", "+0.0") else text


def half_width(interval: Interval) -> str:
    """`±` half the interval's length, in %."""
    return f"±{percent((interval.high - interval.low) / 2)}"


def uncertainty(value: float, interval: Interval) -> str:
    """Half the interval as `±3.4`; where `value` is one of its ends, the other one as `<4.5` or `>95.5`."""
    low, high = interval
    if low < high and value in (low, high):
        return f"<{percent(high)}" if value == low else f">{percent(low)}"
    return half_width(interval)


def bounds(interval: Sequence[float], *, signed: bool = False) -> str:
    """`[low, high]` in %."""
    return f"[{', '.join(percent(end, signed=signed) for end in interval)}]"


def score(
    value: float | None, interval: Sequence[float | None] | None, *, signed: bool = False, nothing: str = ""
) -> str:
    """`value [low, high]` in %; the value alone where an end is not known, and `nothing` without a value."""
    if value is None:
        return nothing
    text, ends = percent(value, signed=signed), [end for end in interval or () if end is not None]
    return f"{text} {bounds(ends, signed=signed)}" if len(ends) == 2 else text


def change(value: float | None, interval: Sequence[float | None] | None, *, nothing: str = "") -> str:
    """The same of a difference of scores, with its sign."""
    return score(value, interval, signed=True, nothing=nothing)
