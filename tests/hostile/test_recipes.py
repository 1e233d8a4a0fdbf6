"""Broken recipes and arguments end a run with an error that names the key and where it was set."""

import pytest

from tests.hostile.cases import check
from tests.hostile.recipe_cases import CASES


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.name)
def test_a_broken_recipe_is_told(case, tmp_path):
    check(case, tmp_path)
