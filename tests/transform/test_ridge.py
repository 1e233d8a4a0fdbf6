"""The search for a penalty on error curves whose best place is known; the fit itself: test_transform.py."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cctuning.transform.moments import SymmetricSum
from cctuning.transform.normal_equations import NormalEquations
from cctuning.transform.ridge import climb, coarse_to_fine, held_out_errors, ridge_weights


def valley(bottom):
    return lambda places: [abs(place - bottom) ** 1.5 for place in places]


@given(places=st.integers(1, 40), data=st.data())
def test_the_bottom_of_a_valley_is_found(places, data):
    bottom = data.draw(st.integers(0, places - 1))
    near = coarse_to_fine(valley(bottom), places, 0.0)
    best, found = climb(valley(bottom), near, places, 0.0)
    assert best == bottom and abs(near - bottom) <= 1
    assert {place for place in (bottom - 1, bottom + 1) if 0 <= place < places} <= found.keys()


@given(places=st.integers(1, 40), data=st.data())
def test_a_climb_reaches_the_bottom_from_anywhere(places, data):
    start, bottom = (data.draw(st.integers(0, places - 1)) for _ in range(2))
    assert climb(valley(bottom), start, places, 0.0)[0] == bottom


def test_of_equal_places_the_first_is_taken():
    assert coarse_to_fine(lambda places: [1.0] * len(places), 29, 0.0) == 0
    assert coarse_to_fine(lambda places: [-1e-9 * place for place in places], 29, 1e-6) == 0
    assert climb(lambda places: [1.0] * len(places), 5, 29, 0.0)[0] == 0


def test_errors_that_are_infinite_are_never_the_best():
    def errors(places):
        return [np.inf if place < 10 else float(place) for place in places]

    near = coarse_to_fine(errors, 29, 0.0)
    assert climb(errors, near, 29, 0.0)[0] == 10


def test_no_place_is_measured_twice():
    seen = []

    def errors(places):
        seen.extend(places)
        return valley(3)(places)

    climb(errors, 20, 29, 0.0)
    assert len(seen) == len(set(seen))


def test_a_ridge_that_is_lost_in_rounding_is_infinitely_bad():
    total = SymmetricSum(3)
    total.add_rows(np.ones((1, 3)))
    ones = np.ones((3, 3))
    equations = NormalEquations([total], ones, affine=False)
    errors = held_out_errors(equations, total, ones, [1e-30, 1.0])
    assert errors[0] == np.inf and np.isfinite(errors[1])
    np.testing.assert_allclose(ridge_weights(equations, 1e-30), ones / 3, atol=1e-12)
