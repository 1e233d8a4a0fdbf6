import pytest
import torch

from cctuning.learning_curve import curve_point, curve_sizes
from tests.test_transform import fitted, pairs


@pytest.mark.parametrize(
    ("count", "expected"), [(1000, [15, 31, 62, 125, 250, 500, 1000]), (16, [8, 16]), (15, [15]), (1, [1])]
)
def test_sizes_are_halves(count, expected):
    assert curve_sizes(count) == expected


def test_a_point_is_the_error_of_the_fit_on_those_pairs():
    F, F_en = pairs(60, 2, 12, noise=1.0)
    fit, held_out = fitted(F[:40], F_en[:40]), fitted(F[40:], F_en[40:])
    point = curve_point(fit, held_out)
    for ridge, tolerance in ((float(point.ridges[20]), 1e-9), (7.7, 1e-2)):
        values = point.at(ridge)
        assert (values["pairs"], values["rows"]) == (40, 80)
        for prefix, penalty, accuracy in (("", ridge, tolerance), ("plain_", 0.0, 1e-9)):
            error = F[40:] @ fit.solve(penalty) - F_en[40:]
            assert values[f"{prefix}mse"] == pytest.approx(float(error.square().mean()), rel=accuracy)
            relative = float(error.norm() / F_en[40:].norm())
            assert values[f"{prefix}relative_error"] == pytest.approx(relative, rel=accuracy)


def test_without_a_ridge_the_point_is_plain_least_squares():
    F, F_en = pairs(60, 2, 12, noise=1.0)
    values = curve_point(fitted(F[:40], F_en[:40]), fitted(F[40:], F_en[40:])).at(0.0)
    assert values["mse"] == values["plain_mse"]


def test_targets_that_are_zero_have_no_relative_error():
    F = pairs(20, 2, 4)[0]
    zeros = torch.zeros_like(F)
    assert curve_point(fitted(F, zeros), fitted(F, zeros)).at(1.0)["relative_error"] is None
