"""Numbers and tables as text, for results and comparisons alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

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


def bounds(interval: Interval, *, signed: bool = False) -> str:
    """`[low, high]` in %."""
    return f"[{', '.join(percent(end, signed=signed) for end in interval)}]"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    # A bar would end the cell.
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def csv_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
