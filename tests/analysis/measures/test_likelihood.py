from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.likelihood import measure_likelihood
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling

NAME = "right_log_probability"


def grid_of(seed, **changes):
    grid = made_grid(np.random.default_rng(seed), questions=5, layers=3)
    return replace(grid, cells=replace(grid.cells, **changes))


def measured(grid):
    return {name: own["de"].value for name, own in measure_likelihood({"de": grid}, resampling(grid)).items()}


@pytest.mark.parametrize("seed", range(3))
def test_log_probabilities_against_loops(seed):
    grid = grid_of(seed)
    found = measured(grid)
    cells, original = grid.cells.right_log_probability, grid.target.right_log_probability
    changes = np.zeros((3, 3))
    for question, i, j in np.ndindex(cells.shape):
        changes[i, j] += (cells[question, i, j] - original[question]) / 5
    assert np.allclose(found[f"{NAME}_change_by_pair"], changes)
    assert np.allclose(found[f"{NAME}_change_by_source_layer"], [np.mean(changes[i]) for i in range(3)])
    assert np.allclose(found[f"{NAME}_change_by_target_layer"], [np.mean(changes[:, j]) for j in range(3)])
    assert found[f"{NAME}_change"] == pytest.approx(found[NAME] - found[f"original_{NAME}"])
    assert found[f"source_{NAME}"] == pytest.approx(grid.source.right_log_probability.mean())


def test_questions_without_them_do_not_count():
    whole = grid_of(0)
    some = whole.cells.right_log_probability.copy()
    some[2] = np.nan
    found = measured(grid_of(0, right_log_probability=some))
    kept = np.delete(whole.cells.right_log_probability, 2, 0)
    original = np.delete(whole.target.right_log_probability, 2)
    assert np.allclose(found[f"{NAME}_change_by_pair"], (kept - original[:, None, None]).mean(0))


def test_cells_without_them_have_no_such_measure():
    assert measure_likelihood({"de": grid_of(0, right_log_probability=None)}, resampling(grid_of(0))) == {}
