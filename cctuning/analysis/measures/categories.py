"""The eight categories of a question: is the source answered right, the target, and by any transplant?"""

from collections.abc import Mapping
from itertools import product

import numpy as np

from cctuning.analysis.cells.grid import Grid, each
from cctuning.analysis.measures.bounds import Right, answered
from cctuning.stats.estimates import Estimates, Resampling

_WORDS = {True: "right", False: "wrong"}
# (source right, target right, any transplant right), and the quantity's name.
CATEGORIES: dict[tuple[bool, bool, bool], str] = {
    (source, target, transplant): (
        f"source_{_WORDS[source]}_target_{_WORDS[target]}_transplant_{_WORDS[transplant]}"
    )
    for source, target, transplant in product((True, False), repeat=3)
}


def members(grid: Grid) -> dict[str, Right]:
    """The questions in each category, (Q,): every question is in one."""
    places = np.stack([grid.source.correct, grid.target.correct, answered(grid)])
    return {name: (places == np.array(rights)[:, None]).all(0) for rights, name in CATEGORIES.items()}


def measure_categories(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """The share of each category in every language; times the number of questions it is a count."""
    by_language = each(members, grids)
    return {
        name: resampling.estimate(
            {language: by_category[name] for language, by_category in by_language.items()}
        )
        for name in CATEGORIES.values()
    }
