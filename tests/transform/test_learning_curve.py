import pytest
import torch

from cctuning.transform.learning_curve import curve_point, curve_report, curve_sizes
from tests.transform.test_least_squares import fitted, pairs


@pytest.mark.parametrize(
    ("count", "expected"), [(1000, [15, 31, 62, 125, 250, 500, 1000]), (16, [8, 16]), (15, [15]), (1, [1])]
)
def test_sizes_are_halves(count, expected):
    assert curve_sizes(count) == expected


def point_of(fit, held_out, ridge):
    """The one point of a curve, as it is reported."""
    curve = [curve_point(fit, held_out, ridge)]
    [point] = curve_report([curve], elements=held_out.rows * held_out.d, target=held_out.target)
    return point


@pytest.mark.parametrize("ridge", [None, 3.0, 0.0])
def test_a_point_is_the_error_of_the_fit_on_those_pairs(ridge):
    F, F_en = pairs(60, 2, 12, noise=1.0)
    fit, held_out = fitted(F[:40], F_en[:40]), fitted(F[40:], F_en[40:])
    point = point_of(fit, held_out, ridge)
    assert (point["pairs"], point["rows"]) == (40, 80)
    assert point["ridge"] == (fit.choose_ridge().ridge if ridge is None else ridge)
    for prefix, penalty in (("", point["ridge"]), ("plain_", 0.0)):
        error = F[40:] @ fit.solve(penalty) - F_en[40:]
        assert point[f"{prefix}mse"] == pytest.approx(float(error.square().mean()))
        assert point[f"{prefix}relative_error"] == pytest.approx(float(error.norm() / F_en[40:].norm()))


def test_too_few_pairs_for_the_folds_leave_a_gap():
    F, F_en = pairs(30, 2, 4)
    point = point_of(fitted(F[:4], F_en[:4]), fitted(F[4:], F_en[4:]), None)
    assert point["ridge"] is None and point["mse"] is None and point["relative_error"] is None
    assert point["plain_mse"] > 0


def test_few_rows_are_not_warned_of(recwarn):
    F, F_en = pairs(30, 2, 12)
    curve_point(fitted(F[:5], F_en[:5]), fitted(F[5:], F_en[5:]), None)
    assert not recwarn.list


def test_targets_that_are_zero_have_no_relative_error():
    F = pairs(20, 2, 4)[0]
    zeros = torch.zeros_like(F)
    assert point_of(fitted(F, zeros), fitted(F, zeros), 1.0)["relative_error"] is None
