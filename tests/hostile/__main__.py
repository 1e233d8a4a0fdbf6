"""Writes docs/errors.md: `python -m tests.hostile`."""

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
from tests.hostile.page import PATH, page

GROUPS = (
    data_cases.CASES,
    recipe_cases.CASES,
    tokenizer_cases.CASES,
    model_cases.CASES,
    run_cases.CASES,
    benchmark_cases.CASES,
    evaluation_cases.CASES,
    comparison_cases.CASES,
    study_cases.CASES,
    probe_cases.CASES,
    visualize_cases.CASES,
    preparation_cases.CASES,
)

if __name__ == "__main__":
    PATH.write_text(page(GROUPS), encoding="utf-8")
