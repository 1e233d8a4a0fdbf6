"""Tests against loops, closed forms and worked examples, and how often they are right."""

import math
import random

import numpy as np
import pytest
from scipy.stats import chi2

from cctuning.stats.bootstrap import generator, interval, resampled_means, unanimous_interval
from cctuning.stats.significance import bootstrap_p, holm, mcnemar_p, unanimous_p


def test_p_agrees_with_the_interval():
    random = np.random.default_rng(0)
    for shift in np.linspace(-0.25, 0.25, 21):
        means = resampled_means(random.normal(shift, 1, size=(100, 1)), generator(0), 2000)[:, 0]
        low, high = interval(means)
        assert (bootstrap_p(means) < 0.05) == (not low <= 0 <= high), shift


def test_p_is_uniform_where_there_is_no_difference():
    random, found = np.random.default_rng(1), []
    for world in range(400):
        differences = random.choice([-1.0, 0.0, 1.0], p=[0.15, 0.7, 0.15], size=(150, 1))
        found.append(bootstrap_p(resampled_means(differences, generator(world), 400)[:, 0]))
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) < level) == pytest.approx(level, abs=3 * math.sqrt(level / 400))


def test_p_of_equal_models_is_1_and_never_0():
    assert bootstrap_p(np.zeros(100)) == 1
    assert bootstrap_p(np.full(99, 0.3)) == bootstrap_p(np.full(99, -0.3)) == 2 / 100
    assert bootstrap_p(np.array([np.nan] * 900 + [0.3] * 99)) == 2 / 100


@pytest.mark.parametrize(("difference", "count"), [(1.0, 1), (1.0, 8), (-1.0, 8), (0.3, 12), (0.0, 5)])
def test_p_of_equal_differences_goes_with_their_interval(difference, count):
    p = unanimous_p(difference, count)
    low, high = unanimous_interval(difference, count, lowest=-1.0)
    assert (p < 0.05) == (not low <= 0 <= high)
    assert abs(difference) < 1 or p == mcnemar_p(0, count)


@pytest.mark.parametrize(("first", "second"), [(0, 5), (5, 0), (3, 9), (7, 7), (1, 0)])
def test_mcnemar_is_every_split_as_unlikely_as_the_one_seen(first, second):
    count = first + second
    chances = [math.comb(count, right) / 2**count for right in range(count + 1)]
    assert mcnemar_p(first, second) == pytest.approx(
        sum(c for c in chances if c <= chances[first] * (1 + 1e-9))
    )


def test_mcnemar_is_near_the_chi_square_for_many_questions():
    corrected = chi2.sf((abs(260 - 200) - 1) ** 2 / 460, df=1)
    assert mcnemar_p(260, 200) == pytest.approx(corrected, rel=0.02)


def test_models_that_never_differ():
    assert mcnemar_p(0, 0) == 1


def test_holm_on_a_known_example():
    # Holm (1979) with α = 0.05: 0.005 and 0.01 are rejected, 0.03 and 0.04 are not.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1, 1]
    assert holm([]) == []


def test_holm_rejects_what_the_step_down_loop_rejects():
    draw = random.Random(0)
    for _ in range(200):
        p_values = [draw.random() ** 4 for _ in range(draw.randrange(1, 12))]
        rejected = set()
        for step, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[number] > 0.05 / (len(p_values) - step):
                break
            rejected.add(number)
        assert {number for number, p in enumerate(holm(p_values)) if p <= 0.05} == rejected
