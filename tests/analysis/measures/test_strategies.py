import numpy as np
import pytest

from cctuning.analysis.measures.strategies import best_pair, choices, choose, measure_strategies
from cctuning.stats.estimates import Resampling
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import with_correct


def naive(counts, pairs):
    """Sorted as the authors sort their best pairs: target layers upwards, then source layers downwards."""
    best = max(counts[i][j] for i, j in pairs)
    return sorted(((i, j) for i, j in pairs if counts[i][j] == best), key=lambda pair: (pair[1], -pair[0]))[0]


@pytest.mark.parametrize("seed", range(8))
def test_pairs_against_sorting(seed):
    grid = made_grid(np.random.default_rng(seed), questions=4, layers=4, right=0.5)
    counts, layers = grid.cells.correct.sum(0), range(4)
    assert choose(grid) == {
        "overall": naive(counts, [(i, j) for i in layers for j in layers]),
        "source_last": naive(counts, [(3, j) for j in layers]),
        "target_first": naive(counts, [(i, 0) for i in layers]),
    }


def test_ties():
    assert best_pair(np.array([[1, 5, 5], [0, 5, 2], [3, 0, 5]])) == (1, 1)
    assert best_pair(np.array([[1, 5], [0, 6]]), np.array([[True, True], [False, False]])) == (0, 1)


def test_no_right_answer_anywhere_is_a_tie_of_all():
    grid = with_correct(np.zeros((3, 4, 4)))
    assert choose(grid) == {"overall": (3, 0), "source_last": (3, 0), "target_first": (3, 0)}


def test_one_layer():
    grid = with_correct(np.ones((2, 1, 1)))
    assert set(choose(grid).values()) == {(0, 0)}


def test_pilot_accuracy_is_that_of_the_chosen_pairs():
    rng = np.random.default_rng(1)
    grids = {language: made_grid(rng, language=language, right=0.3) for language in ("de", "sw")}
    ids = {language: grid.questions for language, grid in grids.items()}
    found = measure_strategies(
        grids, Resampling(ids, parallel=True, random=np.random.default_rng(0), resamples=200)
    )
    for language, grid in grids.items():
        assert found["original"][language].value == pytest.approx(grid.target.correct.mean())
        assert found["overall"][language].value == pytest.approx(grid.cells.correct.mean(0).max())
        assert found["source_last"][language].value == pytest.approx(grid.cells.correct.mean(0)[-1].max())
        assert found["target_first"][language].value == pytest.approx(grid.cells.correct.mean(0)[:, 0].max())
    accuracies = [grid.cells.correct.mean(0).max() for grid in grids.values()]
    assert found["overall_spread"]["mean"].value == pytest.approx(np.std(accuracies))


@pytest.mark.parametrize("seed", range(3))
def test_ties_and_how_often_a_pair_is_chosen_again_against_loops(seed):
    grid = made_grid(np.random.default_rng(seed), questions=5, layers=3, right=0.5)
    found = choices(grid, np.random.default_rng(0), 400)
    assert {name: choice.pair for name, choice in found.items()} == choose(grid)
    counts = grid.cells.correct.sum(0)
    assert found["overall"].tied == (counts == counts.max()).sum()
    assert found["target_first"].candidates == 3
    assert found["target_first"].tied == (counts[:, 0] == counts[:, 0].max()).sum()
    drawn = np.random.default_rng(1).integers(5, size=(400, 5))
    pairs = [(i, j) for i in range(3) for j in range(3)]
    again = [naive(grid.cells.correct[own].sum(0), pairs) == found["overall"].pair for own in drawn]
    assert found["overall"].chosen_again == pytest.approx(np.mean(again), abs=0.1)


def test_where_every_pair_is_wrong_all_tie():
    grid = with_correct(np.zeros((4, 2, 2)))
    assert {choice.tied for choice in choices(grid, np.random.default_rng(0)).values()} == {4, 2}
    assert all(one.chosen_again == 1 for one in choices(grid, np.random.default_rng(0)).values())
