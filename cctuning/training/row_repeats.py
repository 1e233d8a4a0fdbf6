"""Rows that fill up the last batches of an epoch: every process needs a full one, and no row counts twice.

Where the rows do not divide by batch size x processes, accelerate repeats rows from the epoch's beginning.
"""

from collections.abc import Mapping
from typing import Any

from cctuning.data.encoding import IGNORED


def first_repeat(rows: int, *, batch_size: int, processes: int, process: int) -> int:
    """Where, in a process's last batch of an epoch of `rows` rows, the repeated ones begin.

    `batch_size` if none is repeated, 0 if all are.
    """
    last = rows % (batch_size * processes) or batch_size * processes  # rows in the last batches together
    return min(max(last - process * batch_size, 0), batch_size)


def without_repeats(batch: Mapping[str, Any], first: int) -> dict[str, Any]:
    """The batch with rows from `first` on that add neither loss, gradient nor tokens: none has a label, and
    none is aligned.
    """
    labels, aligned = batch["labels"].clone(), batch["aligned"].clone()
    labels[first:], aligned[first:] = IGNORED, False
    return {**batch, "labels": labels, "aligned": aligned}
