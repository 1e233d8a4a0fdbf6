"""The mean over the seeds of a study."""

from collections.abc import Sequence


def mean_over_seeds(values: Sequence[float | None]) -> float | None:
    """The mean of a value for each seed; None where one lacks it, and without seeds."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
