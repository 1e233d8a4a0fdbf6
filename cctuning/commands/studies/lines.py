"""Lines of a study's table: the scores of each row, and its differences to the row's baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cctuning.commands.studies.costs import UNKNOWN, Cost, read_cost
from cctuning.commands.studies.plan import Step, TableRow
from cctuning.commands.studies.seeds import mean_over_seeds
from cctuning.evaluation.comparison.compare import (
    AVERAGE,
    COMPARISON_RESAMPLES,
    ComparedScore,
    Difference,
    compare,
    scores_on,
)
from cctuning.evaluation.comparison.evaluations import Evaluation, join_seeds, read_evaluation
from cctuning.evaluation.results.folder import read_results
from cctuning.evaluation.results.score_rows import score_rows
from cctuning.pretrained.kinds import read_json_object
from cctuning.stats.bootstrap import Interval

MEAN = "mean"  # stands in the place of a benchmark for the average over all of them

_OF_PROMPTINGS = {"prompting", "max_new_tokens"}  # a chain of thought has room of its own

Differences = dict[str, Difference]


@dataclass(frozen=True)
class TableScore:
    """A mean score, in [0, 1], with its 95 % interval and metric."""

    value: float
    interval: Interval
    metric: str


@dataclass(frozen=True)
class Line:
    """A row of the table. Scores and differences are by the benchmark's title, and `MEAN`.

    `languages` are the scores, in [0, 1], by benchmark and language; `matrix_errors` the measures of a
    Transform Matrix by benchmark: `mse` and `r2`. All are means over seeds.
    """

    title: str
    scores: Mapping[str, TableScore]
    baseline: str | None = None
    differences: Mapping[str, Difference] = field(default_factory=dict)
    languages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cost: Cost = UNKNOWN
    matrix_errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def read_lines(
    rows: Sequence[TableRow], *, resamples: int = COMPARISON_RESAMPLES
) -> tuple[list[Line], list[str]]:
    """The lines of `rows` from their result folders, and warnings about the comparisons.

    A row whose baseline is not among `rows` has no differences. Holm's correction is over all languages and
    benchmarks of a row, and apart from it over the averages. Intervals of several seeds draw seeds as well as
    questions. Raises `ResultsError` for a folder without results.
    """
    differences, warnings = _differences(rows, resamples)
    lines = []
    for row in rows:
        of_row = differences.get(row.title, {})
        folders = [step.output for step in row.evaluations]
        scores = read_scores(folders[0]) if len(folders) == 1 else _seeds_scores(folders, resamples)
        lines.append(
            Line(
                row.title,
                scores,
                row.baseline if of_row else None,
                of_row,
                _language_scores(folders),
                read_cost(row),
                _matrix_errors(row.matrix_errors),
            )
        )
    return lines, warnings


def read_scores(folder: str | Path) -> dict[str, TableScore]:
    """The main score of every benchmark in a result folder, and their mean where there are several."""
    results = read_results(folder)
    scores = {
        row.title: TableScore(row.value, row.interval, row.metric)
        for row in score_rows(results)
        if row.is_main and row.language is None
    }
    if average := results["average"]:
        scores[MEAN] = TableScore(
            average["score,paper"], Interval(*average["score_ci95,paper"]), "score,paper"
        )
    return scores


def _language_scores(folders: Sequence[Path]) -> dict[str, dict[str, float]]:
    """The main score of every benchmark and language: the mean of several seeds, where all have it."""
    by_seed = [
        {
            (row.title, row.language): row.value
            for row in score_rows(read_results(folder))
            if row.is_main and row.language is not None
        }
        for folder in folders
    ]
    scores: dict[str, dict[str, float]] = {}
    for title, language in dict.fromkeys(place for of_seed in by_seed for place in of_seed):
        mean = mean_over_seeds([of_seed.get((title, language)) for of_seed in by_seed])
        if mean is not None:
            scores.setdefault(title, {})[language] = mean
    return scores


def _matrix_errors(steps: Sequence[Step]) -> dict[str, dict[str, float]]:
    """`mse` and `r2` of the matrices on each benchmark's prompts: the mean of several seeds."""
    reports = [read_json_object(step.mark).get("benchmarks", {}) for step in steps]
    return {
        title: {
            name: mean
            for name in ("mse", "r2")
            if (mean := mean_over_seeds([report.get(title, {}).get(name) for report in reports])) is not None
        }
        for title in (reports[0] if reports else ())
    }


def _seeds_scores(folders: Sequence[Path], resamples: int) -> dict[str, TableScore]:
    """The same of the evaluations of several seeds."""
    joined = join_seeds([read_evaluation(folder) for folder in folders])
    questions = {task: list(scores.questions) for task, scores in joined.tasks.items()}
    return {
        _column(score): TableScore(score.score, score.interval, score.metric)
        for score in scores_on(questions, [joined], [""], resamples=resamples)
        if score.is_main and score.language is None
    }


def _differences(rows: Sequence[TableRow], resamples: int) -> tuple[dict[str, Differences], list[str]]:
    """By row the differences to its baseline. Questions that not both were asked are left out, and named."""
    titles = {row.title for row in rows}
    compared = [row for row in rows if row.baseline in titles or row.title in {row.baseline for row in rows}]
    read = {row.title: _read(row) for row in compared}
    by_row: dict[str, Differences] = {}
    warnings: dict[str, None] = {}
    for baseline in compared:
        names = [baseline.title, *(row.title for row in rows if row.baseline == baseline.title)]
        if len(names) == 1:
            continue
        comparison = compare([read[name] for name in names], names, common_only=True, resamples=resamples)
        warnings |= dict.fromkeys(comparison.warnings)
        for score in comparison.scores:
            if score.is_main and score.language is None and score.difference is not None:
                by_row.setdefault(score.name, {})[_column(score)] = score.difference
    return by_row, list(warnings)


def _read(row: TableRow) -> Evaluation:
    """The evaluations of a row, without the settings in which rows of a study differ on purpose."""
    joined = join_seeds([read_evaluation(step.output) for step in row.evaluations])
    return replace(joined, config={key: joined.config[key] for key in joined.config.keys() - _OF_PROMPTINGS})


def _column(score: ComparedScore) -> str:
    """The column of a benchmark, or of the mean over them."""
    return MEAN if score.benchmark == AVERAGE else score.title
