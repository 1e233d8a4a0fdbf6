"""Broken folders of models, runs, adapters and exports end in an error; nothing is run or written."""

import pytest

from tests.hostile.cases import check
from tests.hostile.model_cases import CASES as MODELS
from tests.hostile.run_cases import CASES as RUNS


@pytest.mark.parametrize("case", [*MODELS.cases, *RUNS.cases], ids=lambda case: case.name)
def test_a_broken_folder_is_told(case, tmp_path):
    check(case, tmp_path)
