"""The effect on the centre language, English in the papers: what its own questions gain and lose."""

from collections.abc import Callable, Mapping

import numpy as np

from cctuning.analysis.cells.grid import Grid, each
from cctuning.analysis.measures.bounds import answered
from cctuning.analysis.measures.outcomes import gains
from cctuning.stats.estimates import MEAN, Estimates, Limits, Resampling, ScoreArray

OTHERS = "others"  # in the place of a language: the mean over all languages but the centre


def measure_centre(grids: Mapping[str, Grid], centre: str, resampling: Resampling) -> dict[str, Estimates]:
    """Quantities of the questions in the centre language, beside the mean of the `OTHERS`, where there are.

    `original`, `accuracy` (over all pairs), `gain` (accuracy less original), `win`, `lose`, `upper_bound` as
    elsewhere, the last three over all answers; `unchanged_by_pair`: the share of questions that a pair
    answers word for word as the model as it is. Where source and target are one prompt, as in the centre
    language, a layer's output that goes back into its own layer changes nothing: there the diagonal is 1.
    Empty where the centre language was not asked.
    """
    if centre not in grids:
        return {}
    one_answer: Limits = (0.0, 1.0)  # else a mean over pairs
    quantities: dict[str, tuple[Callable[[Grid], ScoreArray], Limits | None]] = {
        "original": (lambda grid: grid.target.correct, one_answer),
        "accuracy": (lambda grid: grid.cells.correct.mean((1, 2)), None),
        "gain": (lambda grid: gains(grid).mean((1, 2)), None),
        "win": (lambda grid: (gains(grid) > 0).mean((1, 2)), None),
        "lose": (lambda grid: (gains(grid) < 0).mean((1, 2)), None),
        "upper_bound": (answered, one_answer),
    }
    others = {language: grid for language, grid in grids.items() if language != centre}
    estimates = {}
    for name, (measure, limits) in quantities.items():
        of_centre = resampling.estimate(each(measure, {centre: grids[centre]}), limits=limits)
        estimates[name] = {centre: of_centre[centre]}
        if others:
            estimates[name][OTHERS] = resampling.estimate(each(measure, others), limits=limits)[MEAN]
    same = np.asarray(grids[centre].cells.text == grids[centre].target.text[:, None, None])
    estimates["unchanged_by_pair"] = resampling.described({centre: same.mean(0)})
    del estimates["unchanged_by_pair"][MEAN]
    return estimates
