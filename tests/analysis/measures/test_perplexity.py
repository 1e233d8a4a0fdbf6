import math
from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.perplexity import EDGES, LEVELS, log_perplexity, measure_perplexity
from cctuning.stats.estimates import MEAN, POOLED
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling


def perplexities(answers, log_probability):
    """exp(-log p / n) of every answer of more than five tokens, one after the other."""
    found = []
    for tokens, own in zip(answers.new_tokens.ravel(), log_probability.ravel(), strict=True):
        found.append(math.exp(-own / tokens) if tokens > 5 else None)
    return found


def test_short_and_unknown_answers_have_none():
    answers = made_grid(np.random.default_rng(0), questions=1, layers=2).cells
    answers = replace(answers, new_tokens=np.array([[[5, 6], [10, 20]]], dtype=np.int32))
    found = log_perplexity(answers, np.array([[[-5.0, -6.0], [np.nan, -30.0]]]))
    assert np.isnan(found[0, 0, 0])
    assert np.isnan(found[0, 1, 0])
    assert found[0, 0, 1] == 1.0
    assert found[0, 1, 1] == 1.5


@pytest.mark.parametrize("seed", range(3))
def test_distributions_against_loops(seed):
    grid = made_grid(np.random.default_rng(seed), questions=8, layers=3)
    found = {name: own["de"] for name, own in measure_perplexity({"de": grid}, resampling(grid)).items()}
    for prefix, answers, whose in [
        ("", grid.cells, grid.cells.log_probability),
        ("plain_", grid.cells, grid.cells.plain_log_probability),
        ("original_", grid.target, grid.target.log_probability),
        ("original_plain_", grid.target, grid.target.plain_log_probability),
    ]:
        every = perplexities(answers, whose)
        told = sorted(one for one in every if one is not None)
        assert found[f"{prefix}long"].value == pytest.approx(len(told) / len(every))
        assert found[f"{prefix}perplexity"].value == pytest.approx(math.prod(told) ** (1 / len(told)))
        for level, quantile in zip(LEVELS, found[f"{prefix}quantiles_by_level"].value, strict=True):
            logs = [math.log(one) for one in told]
            place = level * (len(logs) - 1)
            low = logs[math.floor(place)]
            between = low + (place % 1) * (logs[math.ceil(place)] - low)
            assert quantile == pytest.approx(math.exp(between))
        for number, share in enumerate(found[f"{prefix}histogram_by_bin"].value):
            high = EDGES[number + 1] if number + 1 < len(EDGES) else math.inf
            inside = sum(EDGES[number] <= one < high for one in told)
            assert share == pytest.approx(inside / len(told))


def test_above_the_original_against_loops():
    grid = made_grid(np.random.default_rng(5), questions=10, layers=2)
    found = measure_perplexity({"de": grid}, resampling(grid))
    for prefix, cells, target in [
        ("", grid.cells.log_probability, grid.target.log_probability),
        ("plain_", grid.cells.plain_log_probability, grid.target.plain_log_probability),
    ]:
        above = []
        originals = perplexities(grid.target, target)
        for question, own in enumerate(perplexities(grid.cells, cells)):
            original = originals[question // 4]
            if own is not None and original is not None:
                above.append(own > original)
        assert found[f"{prefix}above_original"]["de"].value == pytest.approx(np.mean(above))


def test_bins_begin_at_one_and_end_with_all_that_is_higher():
    assert EDGES[0] == 1.0
    assert EDGES[-1] == 10_000.0
    grid = made_grid(np.random.default_rng(0), questions=1, layers=1)
    for each, place in [(-1e-9, 0), (1e-9, 0), (-60 * math.log(2.0), 3), (-1200.0, len(EDGES) - 1)]:
        cells = replace(
            grid.cells,
            new_tokens=np.full((1, 1, 1), 60, dtype=np.int32),
            log_probability=np.full((1, 1, 1), each),
        )
        own = replace(grid, cells=cells)
        found = measure_perplexity({"de": own}, resampling(own))["histogram_by_bin"]["de"].value
        assert found.argmax() == place
        assert found.sum() == 1


def test_without_log_probabilities_there_is_nothing():
    rng = np.random.default_rng(2)
    grids = {language: made_grid(rng, language=language) for language in ("de", "sw")}
    nothing = np.full_like(grids["sw"].cells.plain_log_probability, np.nan)
    grids["sw"] = replace(grids["sw"], cells=replace(grids["sw"].cells, plain_log_probability=nothing))
    found = measure_perplexity(grids, resampling(*grids.values()))
    for name in ("plain_perplexity", "plain_quantiles_by_level", "plain_above_original"):
        assert np.isnan(found[name]["sw"].value).all()
        assert np.allclose(found[name][MEAN].value, found[name]["de"].value)
        if POOLED in found[name]:
            assert np.allclose(found[name][POOLED].value, found[name]["de"].value)
    assert found["plain_long"]["sw"].value == 0
    assert found["perplexity"]["sw"].value > 1


def test_both_means_of_each_pair_against_loops():
    grid = made_grid(np.random.default_rng(3), questions=8, layers=3)
    found = measure_perplexity({"de": grid}, resampling(grid))
    for i, j in np.ndindex(3, 3):
        own = replace(grid.cells, new_tokens=grid.cells.new_tokens[:, i, j])
        known = [one for one in perplexities(own, grid.cells.log_probability[:, i, j]) if one is not None]
        average = found["average_perplexity_by_pair"]["de"].value[i, j]
        geometric = found["perplexity_by_pair"]["de"].value[i, j]
        assert average == pytest.approx(np.mean(known), nan_ok=True)
        assert geometric == pytest.approx(math.exp(np.mean(np.log(known))), nan_ok=True)
        assert average >= geometric
