import math

import numpy as np
import pytest

from cctuning.analysis.selectors.answers import labelled_grid
from cctuning.analysis.selectors.likelihood import LIKELIHOOD, option_shares
from tests.analysis.selectors.planted import grid_of, null_grid

NAN = float("nan")


def chosen(name, grid):
    rule = LIKELIHOOD[name].learn([])
    return rule(labelled_grid(grid).unlabelled).tolist()


def test_four_likelihoods_by_hand():
    grid = grid_of(
        [[[0, 1], [2, 3]]],
        np.zeros((1, 2, 2)),
        new_tokens=[[[1, 2], [8, 4]]],
        log_probability=[[[-3.0, -2.0], [-2.4, -4.0]]],  # per token -3, -1, -0.3, -1
        plain=[[[-2.0, -5.0], [-4.8, -2.2]]],  # per token -2, -2.5, -0.6, -0.55
    )
    assert chosen("likelihood", grid) == [1]
    assert chosen("likelihood_per_token", grid) == [2]
    assert chosen("plain_likelihood", grid) == [0]
    assert chosen("plain_likelihood_per_token", grid) == [3]


def test_of_pairs_with_the_same_plain_answer_the_surest():
    grid = grid_of(
        [[[0, 0], [0, 1]]],
        np.zeros((1, 2, 2)),
        log_probability=[[[-3.0, -2.0], [-2.4, -1.0]]],
        plain=[[[-2.0, -2.0], [-2.0, -9.0]]],
    )
    assert chosen("plain_likelihood", grid) == [1]


def test_options_by_hand():
    # Pair 0 has the likeliest option, pair 3 tells the first from the second best; the fourth option is none.
    options = [[[[-1.0, -1.2, -9, NAN], [-3, -4, -5, NAN]], [[-6, -5, -6, NAN], [-7, -2.0, -4.5, NAN]]]]
    grid = grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), options=options)
    assert chosen("option_likelihood", grid) == [0]
    assert chosen("option_margin", grid) == [3]
    weights = [math.exp(-7), math.exp(-2), math.exp(-4.5), 0.0]
    np.testing.assert_allclose(
        option_shares(labelled_grid(grid).unlabelled)[0, 3], np.array(weights) / sum(weights)
    )


def test_options_that_were_not_scored_are_named():
    with pytest.raises(ValueError, match="de: the options were not scored"):
        chosen("option_margin", grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2))))


@pytest.mark.parametrize("name", LIKELIHOOD)
def test_right_cells_that_are_likelier_are_found(name):
    rng = np.random.default_rng(3)
    grid = null_grid(rng, questions=30, layers=4)
    for array in (grid.cells.log_probability, grid.cells.plain_log_probability):
        array -= 1000.0 * ~grid.cells.correct
    options = grid.cells.option_log_probabilities
    options[grid.cells.correct] = [-1e-9, -50.0, -50.0]
    labelled = labelled_grid(grid)
    rule = LIKELIHOOD[name].learn([])
    assert np.take_along_axis(labelled.correct, rule(labelled.unlabelled)[:, None], axis=1).all()
