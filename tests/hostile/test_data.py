"""Broken data sets end a run with an error that says what, where and what to do; nothing is written."""

import pytest

from tests.hostile.cases import check
from tests.hostile.data_cases import CASES


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.name)
def test_a_broken_data_set_is_told(case, tmp_path):
    check(case, tmp_path)
