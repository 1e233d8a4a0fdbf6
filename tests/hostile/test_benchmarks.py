"""Benchmark files that cannot be asked end an evaluation with an error that names them."""

import pytest

from tests.hostile.benchmark_cases import CASES
from tests.hostile.cases import check


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.name)
def test_a_broken_benchmark_is_told(case, tmp_path):
    check(case, tmp_path)
