import numpy as np

from cctuning.analysis.selectors.answers import accuracy, labelled_grid
from cctuning.analysis.selectors.combined import COMBINED, most_probable, signs
from cctuning.analysis.selectors.likelihood import LIKELIHOOD
from cctuning.analysis.selectors.vote import VOTE
from tests.analysis.selectors.planted import grid_of


def two_signs(rng, questions, language="de"):
    """Right answers have more votes and are likelier, each with as much noise as sign."""
    text, correct, likely = (np.empty((questions, 5, 5)) for _ in range(3))
    for question in range(questions):
        right = rng.random(6) < 0.4
        share = np.exp(rng.normal(size=6) + 1.3 * right)
        height = rng.normal(size=6) + 1.3 * right
        text[question] = rng.choice(6, p=share / share.sum(), size=(5, 5))
        correct[question] = right[text[question].astype(int)]
        likely[question] = height[text[question].astype(int)] - 5
    return grid_of(text, correct, log_probability=likely, plain=-rng.random(text.shape), language=language)


def test_signs_by_hand():
    grid = grid_of(
        [[[0, 1], [1, 1]]],
        np.zeros((1, 2, 2)),
        log_probability=[[[-2.0, -4.0], [-3.0, -5.0]]],
        plain=[[[-1.0, -6.0], [-6.0, -6.0]]],
        new_tokens=[[[1, 2], [2, 2]]],
    )
    unlabelled = labelled_grid(grid).unlabelled
    assert most_probable(unlabelled).tolist() == [[True, False, True, False]]
    answers = np.array([[0, -2, -2, -1, -1, 0, 1], [np.log(3), -3, -1.5, -6, -3, np.log(2), 0]])
    np.testing.assert_allclose(signs(unlabelled)[0, [0, 2]], answers - answers.mean(axis=0))


def test_two_signs_are_better_than_either():
    rng = np.random.default_rng(0)
    pilot = [labelled_grid(two_signs(rng, 150, language)) for language in ("de", "fr")]
    judged = labelled_grid(two_signs(rng, 600))
    found = {
        name: accuracy(judged, selector.learn(pilot)(judged.unlabelled))
        for name, selector in (COMBINED | VOTE | LIKELIHOOD).items()
        if name in ("combined", "vote", "likelihood")
    }
    assert found["combined"] > max(found["vote"], found["likelihood"]) + 0.02


def test_without_a_question_that_is_both_right_and_wrong_it_is_the_vote():
    rng = np.random.default_rng(1)
    text = rng.integers(0, 4, (10, 3, 3))
    pilot = [labelled_grid(grid_of(text, np.ones(text.shape)))]
    unlabelled = labelled_grid(grid_of(text, np.zeros(text.shape))).unlabelled
    assert (
        COMBINED["combined"].learn(pilot)(unlabelled).tolist() == VOTE["vote"].learn([])(unlabelled).tolist()
    )
