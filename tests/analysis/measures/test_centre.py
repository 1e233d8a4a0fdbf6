from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.centre import OTHERS, measure_centre
from cctuning.analysis.measures.outcomes import measure_outcomes
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling


def test_the_centre_beside_the_mean_of_the_others():
    rng = np.random.default_rng(0)
    grids = {language: made_grid(rng, language=language) for language in ("en", "de", "sw")}
    draws = resampling(*grids.values())
    found, outcomes = measure_centre(grids, "en", draws), measure_outcomes(grids, draws)
    for name in ("accuracy", "gain", "win", "lose"):
        assert found[name]["en"] == outcomes[name]["en"]
        others = [float(outcomes[name][language].value) for language in ("de", "sw")]
        assert found[name][OTHERS].value == pytest.approx(np.mean(others))
    assert found["upper_bound"]["en"].value == pytest.approx(
        np.mean([own.any() for own in grids["en"].cells.correct])
    )


def test_what_a_pair_leaves_unchanged():
    grid = made_grid(np.random.default_rng(1), questions=2, layers=2, language="zh")
    grid = replace(
        grid,
        cells=replace(grid.cells, text=np.array([[[0, 1], [2, 0]], [[3, 1], [1, 0]]], dtype=np.int32)),
        target=replace(grid.target, text=np.array([0, 3], dtype=np.int32)),
    )
    found = measure_centre({"zh": grid}, "zh", resampling(grid))
    assert found["unchanged_by_pair"]["zh"].value.tolist() == [[1.0, 0.0], [0.0, 0.5]]
    assert all(OTHERS not in languages for languages in found.values())


def test_nothing_where_the_centre_was_not_asked():
    grid = made_grid(np.random.default_rng(2))
    assert measure_centre({"de": grid}, "en", resampling(grid)) == {}
