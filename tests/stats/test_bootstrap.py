"""Statistics against loops, closed forms, scipy, lm-evaluation-harness, and how often intervals are right."""

import itertools
import math
import random

import numpy as np
import pytest
from lm_eval.api.metrics import mean_stderr, unweighted_mean_stderr
from scipy.stats import beta, bootstrap

from cctuning.stats.bootstrap import (
    generator,
    independent_error,
    interval,
    resampled_languages,
    resampled_means,
    standard_error,
    unanimous_interval,
)


def by_id(scores):
    return dict(enumerate(map(float, scores)))


def correlated(random, questions, languages):
    """Right and wrong, where some questions are hard in all languages: (languages, questions)."""
    chance = random.beta(0.4, 0.6, size=questions)
    return (random.random((languages, questions)) < chance).astype(float)


def resampled(scores, **options):
    """By language, of one score only."""
    keyed = {language: {"": own} for language, own in scores.items()}
    return {language: drawn[""] for language, drawn in resampled_languages(keyed, **options).items()}


def average(resampled):
    return np.mean(list(resampled.values()), axis=0)


def test_an_interval_is_that_of_scipy():
    scores = np.random.default_rng(1).beta(0.5, 2, size=120)
    ours = interval(resampled_means(scores[:, None], generator(0), 40_000)[:, 0])
    theirs = bootstrap((scores,), np.mean, n_resamples=40_000, method="percentile", rng=5).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.002)


def test_resampled_means_are_those_of_a_loop():
    """Two languages, one of which lacks a question: same spread as drawing questions one at a time."""
    scores = np.array([[1, 1], [0, np.nan], [0.5, 0], [0, 1], [0.25, 0]])
    draw = random.Random(3)
    looped = []
    for _ in range(20_000):
        questions = [draw.randrange(5) for _ in range(5)]
        columns = ([scores[q, c] for q in questions if not math.isnan(scores[q, c])] for c in range(2))
        looped.append([sum(column) / len(column) if column else math.nan for column in columns])
    ours = resampled_means(scores, generator(0), 20_000)
    looped = np.array(looped)
    assert np.isnan(ours[:, 1]).mean() == pytest.approx(np.isnan(looped[:, 1]).mean(), abs=0.001)
    assert np.nanmean(ours, 0) == pytest.approx(np.nanmean(looped, 0), abs=0.01)
    kept, expected = ours[~np.isnan(ours[:, 1])], looped[~np.isnan(looped[:, 1])]
    assert np.cov(kept.T) == pytest.approx(np.cov(expected.T), abs=0.002)


def test_chunks_do_not_show(monkeypatch):
    scores = np.random.default_rng(0).random((50, 3))
    whole = resampled_means(scores, generator(7), 300)
    monkeypatch.setattr("cctuning.stats.bootstrap._CELLS", 1000)
    assert resampled_means(scores, generator(7), 300) == pytest.approx(whole, abs=1e-12)


def test_random_numbers_belong_to_a_name():
    assert generator(0, "xnli").random() == generator(0, "xnli").random()
    others = [generator(0, "xquad"), generator(1, "xnli"), generator(0, "xnli", "a")]
    assert len({generator(0, "xnli").random(), *(other.random() for other in others)}) == 4


def test_the_spread_of_an_average_over_parallel_languages_is_the_closed_form():
    """With all questions in all languages it is the spread of the mean over questions of their averages."""
    table = correlated(np.random.default_rng(0), 400, 6)
    scores = {str(number): by_id(own) for number, own in enumerate(table)}
    closed = table.mean(0).std() / math.sqrt(400)
    together = average(resampled(scores, parallel=True, random=generator(0)))
    apart = average(resampled(scores, parallel=False, random=generator(0)))
    assert together.std() == pytest.approx(closed, rel=0.03)
    assert apart.std() == pytest.approx(math.hypot(*table.std(1)) / 6 / math.sqrt(400), rel=0.03)
    assert together.std() > 1.5 * apart.std()


def test_intervals_of_averages_hold_the_truth_as_often_as_they_say():
    worlds, random = 400, np.random.default_rng(2)
    held = {True: 0, False: 0}
    for world, parallel in itertools.product(range(worlds), held):
        scores = {str(n): by_id(own) for n, own in enumerate(correlated(random, 80, 5))}
        drawn = resampled(scores, parallel=parallel, random=generator(world), resamples=400)
        low, high = interval(average(drawn))
        held[parallel] += low <= 0.4 <= high
    assert 0.91 <= held[True] / worlds <= 0.98
    assert held[False] / worlds < 0.85  # what drawing each language by itself would give


def test_languages_with_other_questions_are_drawn_by_themselves():
    scores = {"a": by_id([1, 0, 0, 1, 0] * 20), "b": by_id([0, 1, 1, 0, 1, 1] * 30)}
    drawn = resampled(scores, parallel=False, random=generator(0))
    assert abs(np.corrcoef(*drawn.values())[0, 1]) < 0.05
    for language, own in scores.items():
        spread = np.std(list(own.values())) / math.sqrt(len(own))
        assert drawn[language].std() == pytest.approx(spread, rel=0.03)


def test_questions_left_out_in_one_language_stay_in_the_others():
    table = correlated(np.random.default_rng(4), 300, 3)
    scores = {str(number): by_id(own) for number, own in enumerate(table)}
    for gone in range(250):
        del scores["2"][gone]
    drawn = resampled(scores, parallel=True, random=generator(0))
    assert drawn["0"].mean() == pytest.approx(table[0].mean(), abs=0.002)
    assert drawn["2"].mean() == pytest.approx(table[2, 250:].mean(), abs=0.005)
    assert average(drawn).std() == pytest.approx(standard_error(scores, parallel=True), rel=0.03)


@pytest.mark.parametrize("parallel", [True, False])
def test_the_difference_of_two_keys_is_that_of_paired_scores(parallel):
    random = np.random.default_rng(0)
    first, second = correlated(random, 200, 3), correlated(random, 200, 3)
    second = np.where(random.random((3, 200)) < 0.8, first, second)  # mostly the same
    scores = {
        str(n): {
            "first": by_id(first[n]),
            "second": by_id(second[n]),
            "difference": by_id(first[n] - second[n]),
        }
        for n in range(3)
    }
    for drawn in resampled_languages(scores, parallel=parallel, random=generator(0)).values():
        assert drawn["first"] - drawn["second"] == pytest.approx(drawn["difference"], abs=1e-12)
        assert drawn["difference"].std() < drawn["first"].std()


# --- All scores alike ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 80, 1000])
def test_all_right_or_all_wrong_has_the_exact_interval(count):
    assert unanimous_interval(0.0, count) == pytest.approx((0, beta.ppf(0.975, 1, count)))
    assert unanimous_interval(1.0, count) == pytest.approx((beta.ppf(0.025, count, 1), 1))


def test_equal_scores_in_between_leave_room_on_both_sides():
    low, high = unanimous_interval(0.25, 10)
    assert 0.25 - low == pytest.approx((high - 0.25) / 3)
    share = unanimous_interval(0.0, 10).high
    assert unanimous_interval(0.0, 10, lowest=-1.0) == pytest.approx((-share, share))


# --- Standard errors ----------------------------------------------------------------------------------------


def test_standard_errors_are_those_of_the_harness():
    first, second = [0.0, 1, 1, 0, 1], [0.5, 0.25, 1]
    assert standard_error({"a": by_id(first)}, parallel=True) == pytest.approx(mean_stderr(first))
    group = unweighted_mean_stderr([mean_stderr(first), mean_stderr(second)])
    scores = {"a": by_id(first), "b": by_id(second)}
    assert standard_error(scores, parallel=False) == pytest.approx(group)
    assert independent_error([mean_stderr(first), mean_stderr(second)]) == pytest.approx(group)


def test_the_standard_error_over_parallel_languages_is_that_of_the_questions_averages():
    table = correlated(np.random.default_rng(0), 50, 4)
    scores = {str(number): by_id(own) for number, own in enumerate(table)}
    assert standard_error(scores, parallel=True) == pytest.approx(mean_stderr(table.mean(0).tolist()))


@pytest.mark.parametrize("parallel", [True, False])
def test_one_question_has_no_standard_error(parallel):
    assert standard_error({"a": {7: 1.0}, "b": {7: 0.0}}, parallel=parallel) is None
    assert independent_error([0.1, None]) is None
