"""Comparison of sub-layers: the same questions with the feed-forward outputs and with attention's."""

from collections.abc import Callable, Mapping

from cctuning.analysis.cells.grid import Grid, each
from cctuning.analysis.measures.bounds import answered
from cctuning.stats.estimates import Estimates, Resampling, ScoreArray


def measure_sublayers(
    grids: Mapping[str, Grid], others: Mapping[str, Grid], resampling: Resampling
) -> dict[str, Estimates]:
    """Differences of sub-layers, by quantity and language; both hold the same questions in the same order.

    `upper_bound_difference`, `accuracy_difference` (of the average over all pairs) and those of each layer:
    what `others` reach less what `grids` do. `both`, `only_` with a sub-layer's name, `neither`: the shares
    of questions that any transplant of both sub-layers, of one alone, and of none answers. Raises
    `ValueError` where the questions differ.
    """
    for language, grid in grids.items():
        if others[language].questions != grid.questions:
            raise ValueError(
                f"{grid.benchmark} in {language}: {grid.sublayer} and {others[language].sublayer} were not "
                "asked the same questions"
            )
    differences: dict[str, Callable[[Grid], ScoreArray]] = {
        "upper_bound_difference": answered,
        "accuracy_difference": lambda grid: grid.cells.correct.mean((1, 2)),
        "accuracy_difference_by_source_layer": lambda grid: grid.cells.correct.mean(2),
        "accuracy_difference_by_target_layer": lambda grid: grid.cells.correct.mean(1),
    }
    estimates = {}
    for name, measure in differences.items():
        first, second = each(measure, grids), each(measure, others)
        estimates[name] = resampling.estimate(
            {language: second[language].astype(float) - first[language] for language in grids},
            limits=(-1.0, 1.0) if measure is answered else None,  # all others are means over pairs
        )
    by_first, by_second = each(answered, grids), each(answered, others)
    names = [next(iter(by_language.values())).sublayer for by_language in (grids, others)]
    shares: dict[str, Callable[[str], ScoreArray]] = {
        "both": lambda language: by_first[language] & by_second[language],
        f"only_{names[0]}": lambda language: by_first[language] & ~by_second[language],
        f"only_{names[1]}": lambda language: ~by_first[language] & by_second[language],
        "neither": lambda language: ~(by_first[language] | by_second[language]),
    }
    for name, share in shares.items():
        estimates[name] = resampling.estimate({language: share(language) for language in grids})
    return estimates
