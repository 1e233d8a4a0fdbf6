import math

import numpy as np
import pytest

from cctuning.analysis.selectors.answers import labelled_grid
from cctuning.analysis.selectors.vote import VOTE, votes
from tests.analysis.selectors.planted import grid_of

NOTHING = np.zeros((1, 2, 2))


def chosen(name, grid, pilot=()):
    rule = VOTE[name].learn([labelled_grid(one) for one in pilot])
    return rule(labelled_grid(grid).unlabelled).tolist()


def test_votes_against_counting_one_by_one():
    rng = np.random.default_rng(0)
    answer, weights = rng.integers(0, 4, (6, 9)), rng.random((6, 9))
    for question, place in np.ndindex(6, 9):
        counted = sum(
            weight
            for other, weight in zip(answer[question], weights[question], strict=True)
            if other == answer[question, place]
        )
        assert votes(answer, weights)[question, place] == pytest.approx(counted)


def test_the_majority_wins_by_its_most_probable_pair():
    likely = [[[-0.1, -3.0], [-2.0, -4.0]]]
    assert chosen("vote", grid_of([[[1, 2], [2, 2]]], NOTHING, log_probability=likely)) == [2]


def test_a_tied_vote_goes_to_the_answer_with_the_most_probable_pair_and_then_to_the_first():
    likely = [[[-3.0, -2.0], [-2.5, -4.0]]]
    assert chosen("vote", grid_of([[[1, 2], [1, 2]]], NOTHING, log_probability=likely)) == [1]
    assert chosen("vote", grid_of([[[1, 2], [2, 1]]], NOTHING)) == [0]


def test_answers_of_the_same_words_vote_together():
    words = ("(1)", "1.", "2", "3")
    grid = grid_of([[[2, 0], [1, 3]]], NOTHING, words=words, log_probability=[[[-0.1, -2.0], [-1.0, -0.2]]])
    assert chosen("vote", grid) == [2]


def test_the_temperature_is_the_one_that_was_best_on_the_pilot():
    # Three pairs give answer 1 with probability e^-3 each, one gives answer 2 with e^-1.
    cells = [[[1, 1], [1, 2]]]
    likely = [[[-3.0, -3.0], [-3.0, -1.0]]]
    unlabelled = grid_of(cells, NOTHING, log_probability=likely)
    right_if_likely = grid_of(cells, [[[0, 0], [0, 1]]], log_probability=likely)
    right_if_many = grid_of(cells, [[[1, 1], [1, 0]]], log_probability=likely)
    assert 3 * math.exp(-3) < math.exp(-1)
    assert chosen("vote_weighted", unlabelled, [right_if_likely]) == [3]
    assert chosen("vote_weighted", unlabelled, [right_if_many]) == [0]


def test_weights_of_very_improbable_answers_do_not_vanish():
    likely = [[[-5000.0, -5000.5], [-5000.5, -5000.5]]]
    pilot = grid_of([[[1, 2], [2, 2]]], [[[1, 0], [0, 0]]], log_probability=[[[-1.0, -9.0], [-9.0, -9.0]]])
    unlabelled = grid_of([[[1, 2], [2, 2]]], NOTHING, log_probability=likely)
    assert chosen("vote_weighted", unlabelled, [pilot]) == [1]


def test_only_pairs_that_were_good_on_the_pilot_vote():
    layers = 5  # 25 pairs, two or three of them good
    text = np.ones((1, layers, layers), int)
    text[0, 4, 3:] = 2
    correct = np.zeros((3, layers, layers))
    correct[:, 4, 3:] = 1
    pilot = grid_of(np.zeros((3, layers, layers)), correct)
    place = chosen("vote_of_good_pairs", grid_of(text, np.zeros(text.shape)), [pilot])
    assert place == [4 * layers + 3]
    assert chosen("vote", grid_of(text, np.zeros(text.shape))) == [0]


def test_votes_over_options_by_hand():
    # Three pairs prefer the second option by a little, one the first by much.
    shares = np.array([[[[0.98, 0.02], [0.4, 0.6]], [[0.3, 0.7], [0.45, 0.55]]]])
    grid = grid_of(NOTHING, NOTHING, options=np.log(shares) - 7.0)
    assert chosen("vote_options", grid) == [2]
    assert chosen("vote_options_weighted", grid) == [0]


def test_options_beyond_a_questions_own_get_no_votes():
    options = np.log(np.full((2, 2, 2, 3), 1 / 3))
    options[0, ..., 2] = np.nan
    options[1, ..., 2] = -0.01
    grid = grid_of(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), options=options)
    options[1, 1, 0, 2] = 0.0
    assert chosen("vote_options_weighted", grid) == [0, 2]


@pytest.mark.parametrize("name", ["vote", "vote_weighted"])
def test_right_majorities_are_found(name):
    rng = np.random.default_rng(1)
    correct = np.stack([rng.permutation(16) < 9 for _ in range(20)]).reshape(20, 4, 4)
    text = np.where(correct, 1, rng.integers(2, 20, correct.shape))
    grid = grid_of(text, correct, log_probability=-rng.exponential(0.1, correct.shape))
    labelled = labelled_grid(grid)
    rule = VOTE[name].learn([labelled])
    right = np.take_along_axis(labelled.correct, rule(labelled.unlabelled)[:, None], axis=1)
    assert right.mean() > 0.9
