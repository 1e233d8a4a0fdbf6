"""What cannot be drawn is told; nothing is written."""

import pytest

from tests.hostile import visualize_cases
from tests.hostile.cases import check


@pytest.mark.parametrize("case", visualize_cases.CASES.cases, ids=lambda case: case.name)
def test_what_cannot_be_drawn_is_told(case, tmp_path):
    check(case, tmp_path)
