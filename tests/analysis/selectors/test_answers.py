from dataclasses import fields, replace

import numpy as np
import pytest

from cctuning.analysis.selectors.answers import (
    UnlabelledAnswers,
    accuracy,
    labelled_applied,
    labelled_grid,
    of_questions,
    pair_accuracy,
)
from tests.analysis.made import made_applied, made_grid
from tests.analysis.selectors.planted import grid_of


@pytest.fixture
def grid():
    return made_grid(np.random.default_rng(0), questions=5, layers=3, options=2)


def test_selectors_do_not_see_what_is_right(grid):
    labelled = labelled_grid(grid)
    turned = replace(
        grid,
        cells=replace(grid.cells, correct=~grid.cells.correct),
        target=replace(grid.target, correct=~grid.target.correct),
    )
    other = labelled_grid(turned)
    assert (other.correct != labelled.correct).all()
    assert (other.original != labelled.original).all()
    for field in fields(UnlabelledAnswers):
        np.testing.assert_equal(
            getattr(other.unlabelled, field.name), getattr(labelled.unlabelled, field.name)
        )


def test_the_pairs_are_in_the_order_of_the_cells(grid):
    labelled = labelled_grid(grid)
    assert labelled.unlabelled.places.tolist() == list(range(9))
    for place, (source, target) in enumerate(labelled.unlabelled.pairs):
        np.testing.assert_array_equal(labelled.correct[:, place], grid.cells.correct[:, source, target])
        np.testing.assert_array_equal(
            labelled.unlabelled.log_probability[:, place], grid.cells.log_probability[:, source, target]
        )
        np.testing.assert_array_equal(
            labelled.unlabelled.option_log_probabilities[:, place],
            grid.cells.option_log_probabilities[:, source, target],
        )


def test_answers_of_the_same_words_are_one():
    words = ("(1) Ja", "1 ja.", "nein", "")
    labelled = labelled_grid(grid_of([[[2, 1], [0, 3]]], np.zeros((1, 2, 2)), words=words))
    assert labelled.unlabelled.answer.tolist() == [[0, 1, 1, 2]]
    assert labelled.unlabelled.original.tolist() == [1]


def test_an_original_answer_that_no_pair_gives():
    labelled = labelled_grid(grid_of([[[2, 1], [1, 2]]], np.zeros((1, 2, 2))))
    assert labelled.unlabelled.original.tolist() == [-1]


def test_applied_strategies_are_pairs_each_once(grid):
    pairs = {"overall": (2, 1), "source_last": (2, 0), "target_first": (2, 0)}
    applied = made_applied(np.random.default_rng(1), grid, pairs)
    labelled = labelled_applied(applied, layers=3)
    assert labelled.unlabelled.pairs.tolist() == [[2, 0], [2, 1]]
    assert labelled.unlabelled.places.tolist() == [6, 7]
    np.testing.assert_array_equal(labelled.correct[:, 1], applied.strategies["overall"].correct)
    np.testing.assert_array_equal(
        labelled.unlabelled.log_probability[:, 1], applied.strategies["overall"].log_probability
    )


def test_only_some_questions(grid):
    labelled = labelled_grid(grid, features=np.arange(10.0).reshape(5, 2))
    some = of_questions(labelled, {"7", "28"})
    assert some.unlabelled.questions == ("7", "28")
    np.testing.assert_array_equal(some.correct, labelled.correct[[1, 4]])
    np.testing.assert_array_equal(some.original, labelled.original[[1, 4]])
    np.testing.assert_array_equal(some.unlabelled.features, [[2, 3], [8, 9]])
    np.testing.assert_array_equal(some.unlabelled.answer, labelled.unlabelled.answer[[1, 4]])
    np.testing.assert_array_equal(some.unlabelled.pairs, labelled.unlabelled.pairs)


def test_accuracies():
    correct = np.array([[[1, 0], [0, 0]], [[1, 1], [0, 0]]])
    one = labelled_grid(grid_of(np.zeros((2, 2, 2)), correct))
    other = labelled_grid(grid_of(np.zeros((1, 2, 2)), [[[0, 0], [1, 0]]], language="fr"))
    assert accuracy(one, np.array([0, 2])) == 0.5
    assert pair_accuracy([one, other]).tolist() == [0.5, 0.25, 0.5, 0.0]
