"""Wrong recipes and damaged folders of evaluations, comparisons and studies are told; nothing is written."""

import pytest

from tests.hostile import comparison_cases, evaluation_cases, study_cases
from tests.hostile.cases import check

CASES = [case for module in (evaluation_cases, comparison_cases, study_cases) for case in module.CASES.cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_evaluation_is_told(case, tmp_path):
    check(case, tmp_path)
