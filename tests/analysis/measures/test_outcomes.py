import numpy as np
import pytest

from cctuning.analysis.measures.outcomes import measure_outcomes
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import BY_HAND, resampling, with_correct


def measured(grid):
    return {name: own["de"].value for name, own in measure_outcomes({"de": grid}, resampling(grid)).items()}


def test_outcomes_by_hand():
    # The original answers the second question only: four wrong cells of the first tie but one, which wins.
    found = measured(with_correct(BY_HAND, [0, 1]))
    assert (found["win"], found["tie"], found["lose"]) == (1 / 8, 5 / 8, 2 / 8)
    assert (found["accuracy"], found["gain"]) == (3 / 8, -1 / 8)
    assert found["gain_by_pair"].tolist() == [[-0.5, 0.0], [0.0, 0.0]]
    assert found["gain_by_source_layer"].tolist() == [-0.25, 0.0]
    assert found["gain_by_target_layer"].tolist() == [-0.25, 0.0]
    assert (found["pairs_better"], found["pairs_equal"], found["pairs_worse"]) == (0, 3 / 4, 1 / 4)


@pytest.mark.parametrize("seed", range(4))
def test_outcomes_against_loops(seed):
    grid = made_grid(np.random.default_rng(seed), questions=5, layers=3)
    found = measured(grid)
    names = {(False, True): "win", (True, False): "lose"}
    counts = {"win": 0, "tie": 0, "lose": 0}
    gained = np.zeros((3, 3))
    for original, cells in zip(grid.target.correct, grid.cells.correct, strict=True):
        for (i, j), right in np.ndenumerate(cells):
            counts[names.get((bool(original), bool(right)), "tie")] += 1
            gained[i, j] += (int(right) - int(original)) / 5
    for name, count in counts.items():
        assert found[name] == pytest.approx(count / 45)
    assert np.allclose(found["gain_by_pair"], gained)
    assert np.allclose(found["gain_by_source_layer"], [np.mean(gained[i]) for i in range(3)])
    assert np.allclose(found["gain_by_target_layer"], [np.mean(gained[:, j]) for j in range(3)])
    better = [gain > 1e-9 for gain in gained.ravel()]
    assert found["pairs_better"] == pytest.approx(sum(better) / 9)


@pytest.mark.parametrize("seed", range(4))
def test_what_must_add_up(seed):
    grid = made_grid(np.random.default_rng(seed), questions=6, layers=4)
    found = measured(grid)
    assert found["win"] + found["tie"] + found["lose"] == pytest.approx(1)
    assert found["win"] - found["lose"] == pytest.approx(found["gain"])
    assert found["accuracy"] - grid.target.correct.mean() == pytest.approx(found["gain"])
    assert found["pairs_better"] + found["pairs_equal"] + found["pairs_worse"] == pytest.approx(1)
    assert found["gain_by_source_layer"].mean() == pytest.approx(found["gain"])


def test_an_unchanged_model_ties():
    grid = with_correct(np.repeat([[[1]], [[0]], [[1]]], 2, axis=1).repeat(2, axis=2), [1, 0, 1])
    found = measured(grid)
    assert (found["win"], found["tie"], found["lose"], found["pairs_equal"]) == (0, 1, 0, 1)
