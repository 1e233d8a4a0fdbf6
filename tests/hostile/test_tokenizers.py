"""Tokenizers and templates that cannot be trained with are told before anything is trained or written."""

import pytest

from tests.hostile.cases import check
from tests.hostile.tokenizer_cases import CASES


@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.name)
def test_a_broken_tokenizer_is_told(case, tmp_path):
    check(case, tmp_path)
