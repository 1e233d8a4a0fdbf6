"""Wrong recipes and damaged folders of evaluations, comparisons and studies are told; nothing is written."""

import pytest

from tests.hostile.cases import check
from tests.hostile.evaluation_cases import CASES


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.name)
def test_a_broken_evaluation_is_told(case, tmp_path):
    check(case, tmp_path)
