import json

import pytest

from cctuning.tools.json_text import from_json, non_finite, to_json

NAN, INFINITY = float("nan"), float("inf")


def test_what_is_finite_comes_back():
    value = {"é": [1, 2.5, None, "NaN"], "b": {"c": -1e300}}
    assert from_json(to_json(value)) == json.loads(to_json(value, indent=1)) == value
    assert "é" in to_json(value)
    assert non_finite(value) is None


@pytest.mark.parametrize("number", [NAN, INFINITY, -INFINITY])
def test_what_is_not_finite_is_neither_written_nor_read(number):
    value = {"a": [{"b": 1.0}, {"c": number}]}
    with pytest.raises(ValueError):
        to_json(value)
    with pytest.raises(ValueError, match=r"NaN|Infinity"):
        from_json(json.dumps(value))
    assert non_finite(value) == "a.1.c"


def test_a_number_that_overflows_is_refused():
    with pytest.raises(ValueError, match="1e999"):
        from_json("[1e999]")
