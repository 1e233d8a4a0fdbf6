"""The cost of a row: seconds of a training step and of a new token, as they were measured while it was made.

They are comparable where both were made on the same machine, with nothing else to do.
"""

from dataclasses import dataclass
from pathlib import Path

from cctuning.commands.studies.plan import TableRow
from cctuning.commands.studies.seeds import mean_over_seeds
from cctuning.evaluation.results.folder import read_results
from cctuning.pretrained.kinds import read_json_object


@dataclass(frozen=True)
class Cost:
    """Seconds, the mean over seeds; None where they are not known, as for a training in several parts."""

    step: float | None
    token: float | None


UNKNOWN = Cost(None, None)


def read_cost(row: TableRow) -> Cost:
    """The cost of a row, from the reports of its trainings and the results of its evaluations."""
    rates = [read_json_object(step.mark).get("train_steps_per_second") for step in row.trainings]
    return Cost(
        mean_over_seeds([1 / rate if rate else None for rate in rates]),
        mean_over_seeds([_seconds_of_a_token(step.output) for step in row.evaluations]),
    )


def _seconds_of_a_token(folder: Path) -> float | None:
    """Over all tasks of an evaluation; None where it wrote nothing, or was made before seconds were kept.

    A task with nothing but empty answers took its seconds too.
    """
    speeds = [task for task in read_results(folder)["generation"].values() if "seconds" in task]
    tokens = sum(task["seconds"] * task["tokens_per_second"] for task in speeds)
    return sum(task["seconds"] for task in speeds) / tokens if tokens else None


def ratio(value: float | None, of: float | None) -> float | None:
    """How many times `of` the value is; None where one of them is not known."""
    return value / of if value is not None and of else None
