"""docs/errors.md shows what the tests check."""

from tests.hostile.__main__ import GROUPS
from tests.hostile.page import PATH, page


def test_the_page_is_what_the_cases_say():
    assert PATH.read_text(encoding="utf-8") == page(GROUPS), "run: python -m tests.hostile"
