"""Upper bounds of the papers, under the best choice of layer pairs, and their parts.

C_q[i, j] says whether the model answers question q right when source layer i goes into target layer j. An
upper bound is a maximum over many tries; `tries` and `independent_bound` show what their number does, and
`chance` what answers that know nothing of the question would reach.
"""

from collections.abc import Callable, Mapping
from math import comb

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.cells.grid import Grid, each
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import PAIR_RESAMPLES, Estimates, Resampling, ScoreArray, spread

Right = NDArray[np.bool_]


def upper_bound(grid: Grid) -> float:
    """The share of questions that at least one pair answers (eq. 4): mean_q max_ij C_q[i, j], in [0, 1]."""
    return float(answered(grid).mean())


def source_bounds(grid: Grid) -> Array:
    """The same with the source layer fixed (eq. 5): mean_q max_j C_q[i, j], (L,)."""
    return np.asarray(answered_from_source(grid).mean(0))


def target_bounds(grid: Grid) -> Array:
    """The same with the target layer fixed (eq. 6): mean_q max_i C_q[i, j], (L,)."""
    return np.asarray(answered_into_target(grid).mean(0))


def pair_accuracy(grid: Grid) -> Array:
    """The share of questions that each pair answers: (L, L), [source layer, target layer]."""
    return np.asarray(grid.cells.correct.mean(0))


def answered(grid: Grid) -> Right:
    """Whether any pair answers a question: (Q,)."""
    return np.asarray(grid.cells.correct.any((1, 2)))


def answered_from_source(grid: Grid) -> Right:
    """Whether any pair with this source layer does: (Q, L)."""
    return np.asarray(grid.cells.correct.any(2))


def answered_into_target(grid: Grid) -> Right:
    """Whether any pair with this target layer does: (Q, L)."""
    return np.asarray(grid.cells.correct.any(1))


def independent_bound(grid: Grid) -> float:
    """The upper bound if each pair kept its accuracy, but the pairs erred independently of each other.

    1 - Π_ij (1 - a_ij), with a_ij of `pair_accuracy`: the expected upper bound when the right answers of each
    pair are spread anew over the questions. Far above the real one, as pairs agree about what they know.
    """
    return float(1 - np.prod(1 - pair_accuracy(grid)))


def numbers_of_tries(layers: int) -> list[int]:
    """1, 2, 4, ... and at last all L² pairs."""
    pairs = layers**2
    return [*(2**power for power in range(pairs.bit_length()) if 2**power < pairs), pairs]


def right_in_tries(grid: Grid) -> Array:
    """The chance that one of n different pairs, drawn at random, answers a question: (Q, numbers of tries).

    1 - C(L² - c, n) / C(L², n) with the c pairs that are right. With one try this is the average over all
    pairs, with L² the upper bound.
    """
    pairs, tries = grid.layers**2, numbers_of_tries(grid.layers)
    wrong = [pairs - int(right) for right in grid.cells.correct.sum((1, 2))]
    return np.array([[1 - comb(count, n) / comb(pairs, n) for n in tries] for count in wrong])


def measure_bounds(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """The bounds of a benchmark by quantity and language; `grids` by language.

    `_by_source_layer` and `_by_target_layer` are (L,), `_by_pair` (L, L), `_by_tries` (numbers of tries,).
    `_spread` is the standard deviation over languages.
    """
    quantities: dict[str, Callable[[Grid], ScoreArray]] = {
        "original": lambda grid: grid.target.correct,
        "source": lambda grid: grid.source.correct,
        "upper_bound": answered,
        "upper_bound_or_original": lambda grid: answered(grid) | grid.target.correct,
        "bound_by_source_layer": answered_from_source,
        "bound_by_target_layer": answered_into_target,
    }
    estimates = {name: resampling.estimate(each(measure, grids)) for name, measure in quantities.items()}
    estimates["right_by_tries"] = resampling.estimate(each(right_in_tries, grids), limits=None)
    estimates["accuracy_by_pair"] = resampling.estimate(
        each(lambda grid: grid.cells.correct, grids), resamples=PAIR_RESAMPLES
    )
    estimates["independent_bound"] = resampling.described(each(independent_bound, grids))
    for name in ("original", "upper_bound"):
        estimates[f"{name}_spread"] = spread(estimates[name])
    return estimates
