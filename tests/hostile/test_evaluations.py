"""Wrong recipes and damaged folders of evaluations, comparisons, studies and probes: nothing is written."""

import pytest

from tests.hostile import comparison_cases, evaluation_cases, probe_cases, study_cases
from tests.hostile.cases import check

MODULES = (evaluation_cases, comparison_cases, study_cases, probe_cases)
CASES = [case for module in MODULES for case in module.CASES.cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_evaluation_is_told(case, tmp_path):
    check(case, tmp_path)
