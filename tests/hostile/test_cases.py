"""Broken input ends a command with an error that says what, where and what to do; nothing is written."""

import pytest

from tests.hostile import (
    benchmark_cases,
    comparison_cases,
    data_cases,
    evaluation_cases,
    model_cases,
    preparation_cases,
    probe_cases,
    recipe_cases,
    run_cases,
    study_cases,
    tokenizer_cases,
    visualize_cases,
)
from tests.hostile.cases import check

GROUPS = {
    "data": data_cases,
    "recipe": recipe_cases,
    "tokenizer": tokenizer_cases,
    "model": model_cases,
    "run": run_cases,
    "benchmark": benchmark_cases,
    "evaluation": evaluation_cases,
    "comparison": comparison_cases,
    "study": study_cases,
    "probe": probe_cases,
    "visualize": visualize_cases,
    "preparation": preparation_cases,
}
CASES = [
    pytest.param(case, id=f"{group}: {case.name}", marks=[pytest.mark.slow] * case.slow)
    for group, module in GROUPS.items()
    for case in module.TABLE.cases
]


@pytest.mark.parametrize("case", CASES)
def test_broken_input_is_told(case, tmp_path):
    check(case, tmp_path)
