from cctuning.reporting.scores import change, score


def test_a_number_with_half_an_interval_or_none():
    assert score(0.5, (None, 0.75)) == score(0.5, None) == "50.0"
    assert change(0.00001, (-0.5, 0.5)) == "0.0 [-50.0, +50.0]"
    assert score(None, (0.0, 1.0), nothing="–") == "–"
