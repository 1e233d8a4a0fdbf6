from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.categories import CATEGORIES, measure_categories, members
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling, with_correct


def test_there_are_eight():
    assert len(CATEGORIES) == len(set(CATEGORIES.values())) == 8
    assert CATEGORIES[True, False, True] == "source_right_target_wrong_transplant_right"


def test_categories_by_hand():
    grid = with_correct([[[0]], [[1]], [[1]], [[0]]], [1, 0, 0, 0])
    grid = replace(grid, source=replace(grid.source, correct=np.array([True, True, True, False])))
    found = measure_categories({"de": grid}, resampling(grid))
    shares = {name: float(own["de"].value) for name, own in found.items() if own["de"].value}
    assert shares == {
        "source_right_target_right_transplant_wrong": 0.25,
        "source_right_target_wrong_transplant_right": 0.5,
        "source_wrong_target_wrong_transplant_wrong": 0.25,
    }


@pytest.mark.parametrize("seed", range(4))
def test_every_question_is_in_the_one_category_of_its_answers(seed):
    grid = made_grid(np.random.default_rng(seed), questions=20, layers=2, right=0.3)
    found = members(grid)
    for question in range(20):
        rights = (
            bool(grid.source.correct[question]),
            bool(grid.target.correct[question]),
            any(right for row in grid.cells.correct[question] for right in row),
        )
        assert [name for name, own in found.items() if own[question]] == [CATEGORIES[rights]]
    assert sum(own.sum() for own in found.values()) == 20
