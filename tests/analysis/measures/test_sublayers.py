from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.bounds import upper_bound
from cctuning.analysis.measures.sublayers import measure_sublayers
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling


def test_differences_and_shares_against_loops():
    rng = np.random.default_rng(0)
    ffn = made_grid(rng, questions=9, layers=3, right=0.15)
    attention = made_grid(rng, questions=9, layers=3, right=0.15, sublayer="attention")
    found = {
        name: own["de"].value
        for name, own in measure_sublayers({"de": ffn}, {"de": attention}, resampling(ffn)).items()
    }
    assert found["upper_bound_difference"] == pytest.approx(upper_bound(attention) - upper_bound(ffn))
    change = attention.cells.correct.mean(0) - ffn.cells.correct.mean(0)
    assert found["accuracy_difference"] == pytest.approx(change.mean())
    assert np.allclose(found["accuracy_difference_by_source_layer"], change.mean(1))
    assert np.allclose(found["accuracy_difference_by_target_layer"], change.mean(0))
    counts = {"both": 0, "only_ffn": 0, "only_attention": 0, "neither": 0}
    for first, second in zip(ffn.cells.correct, attention.cells.correct, strict=True):
        key = {(True, True): "both", (True, False): "only_ffn", (False, True): "only_attention"}
        counts[key.get((bool(first.any()), bool(second.any())), "neither")] += 1
    assert {name: found[name] * 9 for name in counts} == pytest.approx(counts)
    assert len([count for count in counts.values() if count]) > 1


def test_other_questions_are_an_error():
    grid = made_grid(np.random.default_rng(0))
    other = replace(grid, sublayer="attention", questions=(*grid.questions[:-1], "other"))
    with pytest.raises(ValueError, match=r"xnli in de: ffn and attention were not asked the same questions"):
        measure_sublayers({"de": grid}, {"de": other}, resampling(grid))
