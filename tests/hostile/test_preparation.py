"""What the scripts of data_prep cannot use is told; nothing is written."""

import pytest

from tests.hostile.cases import check
from tests.hostile.preparation_cases import CASES


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.name)
def test_what_cannot_be_prepared_is_told(case, tmp_path):
    check(case, tmp_path)
