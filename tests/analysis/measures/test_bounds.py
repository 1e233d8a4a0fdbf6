import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.bounds import (
    independent_bound,
    measure_bounds,
    numbers_of_tries,
    pair_accuracy,
    right_in_tries,
    source_bounds,
    target_bounds,
    upper_bound,
)
from cctuning.stats.estimates import MEAN, Resampling
from tests.analysis.made import made_grid


def with_correct(correct, original=None):
    """A grid of these right and wrong cells, (Q, L, L)."""
    correct = np.array(correct, dtype=bool)
    grid = made_grid(np.random.default_rng(0), questions=len(correct), layers=correct.shape[1])
    target = grid.target.correct if original is None else np.array(original, dtype=bool)
    return replace(
        grid, cells=replace(grid.cells, correct=correct), target=replace(grid.target, correct=target)
    )


def resampling(*grids):
    ids = {grid.language: grid.questions for grid in grids}
    return Resampling(ids, parallel=True, random=np.random.default_rng(0), resamples=500)


# Two questions, two layers: the first is answered by (0, 1) alone, the second by (1, 0) and (1, 1).
BY_HAND = [[[0, 1], [0, 0]], [[0, 0], [1, 1]]]


def test_bounds_by_hand():
    grid = with_correct(BY_HAND)
    assert upper_bound(grid) == 1.0
    assert source_bounds(grid).tolist() == [0.5, 0.5]
    assert target_bounds(grid).tolist() == [0.5, 1.0]
    assert pair_accuracy(grid).tolist() == [[0.0, 0.5], [0.5, 0.5]]
    assert independent_bound(grid) == 1 - 0.5**3


@pytest.mark.parametrize("seed", range(5))
def test_bounds_against_loops(seed):
    grid = made_grid(np.random.default_rng(seed), questions=7, layers=3, right=0.2)
    right, layers = grid.cells.correct, range(3)

    def share(answers):
        return sum(bool(answers(own)) for own in right) / 7

    assert upper_bound(grid) == pytest.approx(share(lambda own: any(any(row) for row in own)))
    for i in layers:
        assert source_bounds(grid)[i] == pytest.approx(share(lambda own, i=i: any(own[i][j] for j in layers)))
        assert target_bounds(grid)[i] == pytest.approx(share(lambda own, i=i: any(own[j][i] for j in layers)))
        for j in layers:
            assert pair_accuracy(grid)[i, j] == pytest.approx(share(lambda own, i=i, j=j: own[i][j]))


@pytest.mark.parametrize("seed", range(5))
def test_a_pair_is_below_its_layers_and_those_below_the_upper_bound(seed):
    grid = made_grid(np.random.default_rng(seed), questions=9, layers=4, right=0.1)
    pairs = pair_accuracy(grid)
    assert (pairs <= source_bounds(grid)[:, None]).all()
    assert (pairs <= target_bounds(grid)[None, :]).all()
    assert max(source_bounds(grid).max(), target_bounds(grid).max()) <= upper_bound(grid)


def test_tries_against_all_subsets():
    grid = made_grid(np.random.default_rng(3), questions=5, layers=2, right=0.3)
    assert numbers_of_tries(2) == [1, 2, 4]
    found = right_in_tries(grid)
    for question, own in enumerate(grid.cells.correct.reshape(5, 4)):
        for column, tries in enumerate([1, 2, 4]):
            subsets = list(itertools.combinations(own, tries))
            assert found[question, column] == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_tries_begin_at_the_average_and_end_at_the_upper_bound():
    grid = made_grid(np.random.default_rng(4), questions=8, layers=6, right=0.05)
    means = right_in_tries(grid).mean(0)
    assert numbers_of_tries(6) == [1, 2, 4, 8, 16, 32, 36]
    assert means[0] == pytest.approx(pair_accuracy(grid).mean())
    assert means[-1] == pytest.approx(upper_bound(grid))
    assert (np.diff(means) >= -1e-12).all()


def test_independent_pairs_are_those_whose_marks_are_shuffled():
    grid = made_grid(np.random.default_rng(5), questions=40, layers=2, distinct=30, right=0.2)
    random, found = np.random.default_rng(0), []
    for _ in range(300):
        marks = np.stack([random.permutation(column) for column in grid.cells.correct.reshape(40, 4).T])
        found.append(marks.any(0).mean())
    # The marks of a pair are drawn without replacement, which changes the mean of none of the products.
    assert independent_bound(grid) == pytest.approx(np.mean(found), abs=4 * np.std(found) / math.sqrt(300))


@pytest.mark.parametrize("value", [0, 1])
def test_all_alike(value):
    grid = with_correct(np.full((4, 3, 3), value), [value] * 4)
    found = measure_bounds({"de": grid}, resampling(grid))
    for name, languages in found.items():
        if name != "source" and not name.endswith("_spread"):
            assert (languages["de"].value == value).all(), name


def test_one_layer():
    grid = with_correct([[[1]], [[0]], [[1]]])
    assert numbers_of_tries(1) == [1]
    assert upper_bound(grid) == source_bounds(grid)[0] == pair_accuracy(grid)[0, 0] == pytest.approx(2 / 3)
    assert right_in_tries(grid).tolist() == [[1.0], [0.0], [1.0]]


def test_every_quantity_has_every_language_and_means():
    rng = np.random.default_rng(6)
    grids = {language: made_grid(rng, language=language) for language in ("de", "sw")}
    found = measure_bounds(grids, resampling(*grids.values()))
    bounds = [upper_bound(grid) for grid in grids.values()]
    assert found.pop("upper_bound_spread")[MEAN].value == pytest.approx(np.std(bounds))
    del found["original_spread"]
    for name, languages in found.items():
        assert list(languages)[:3] == ["de", "sw", MEAN], name
        for language, grid in grids.items():
            own = {
                "upper_bound": upper_bound(grid),
                "upper_bound_or_original": np.mean(
                    [t or c.any() for t, c in zip(grid.target.correct, grid.cells.correct, strict=True)]
                ),
                "original": grid.target.correct.mean(),
                "source": grid.source.correct.mean(),
                "bound_by_source_layer": source_bounds(grid),
                "bound_by_target_layer": target_bounds(grid),
                "right_by_tries": right_in_tries(grid).mean(0),
                "accuracy_by_pair": pair_accuracy(grid),
                "independent_bound": independent_bound(grid),
            }[name]
            assert np.allclose(languages[language].value, own), name
