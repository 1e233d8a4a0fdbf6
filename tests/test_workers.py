"""Tests that share what takes long to make run in one worker, by the names that pytest-xdist gives them."""

import pytest


@pytest.mark.xdist_group("workers")
def test_a_group_is_in_the_names_of_its_tests(request):
    grouped = getattr(request.config.option, "loadgroup", False)  # set in workers, with --dist loadgroup
    assert request.node.nodeid.endswith("@workers") is grouped
