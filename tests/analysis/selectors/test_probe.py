import numpy as np
import pytest

from cctuning.analysis.selectors.answers import accuracy, labelled_grid, of_questions
from cctuning.analysis.selectors.probe import PROBE, Probe, layer_directions, leading_directions
from cctuning.analysis.selectors.references import FIXED
from tests.analysis.selectors.planted import grid_of, linear_grid, null_grid


def centred(rng, layers=4, questions=30):
    correct = rng.random((questions, layers**2))
    return correct - correct.mean(axis=1, keepdims=True)


def test_leading_directions_are_the_best_of_their_number():
    table = centred(np.random.default_rng(0))
    directions = leading_directions(table)
    np.testing.assert_allclose(directions.T @ directions, np.eye(directions.shape[1]), atol=1e-12)
    # What is left after the first three is the sum of the other eigenvalues of the covariance.
    left = table - table @ directions[:, :3] @ directions[:, :3].T
    values = np.sort(np.linalg.eigvalsh(table.T @ table))[::-1]
    assert (left**2).sum() == pytest.approx(values[3:].sum())


def test_layer_directions_hold_sums_of_layers_and_nothing_else():
    directions = layer_directions(np.zeros((1, 16)))
    assert directions.shape == (16, 7)
    np.testing.assert_allclose(directions.T @ directions, np.eye(7), atol=1e-12)
    source, target = np.random.default_rng(1).normal(size=(2, 4))
    additive = np.add.outer(source, target).ravel()
    np.testing.assert_allclose(directions @ (directions.T @ additive), additive)
    product = np.outer(source - source.mean(), target - target.mean()).ravel()
    np.testing.assert_allclose(directions.T @ product, 0, atol=1e-12)


def test_predictions_against_ridge_regression_by_its_equation():
    rng = np.random.default_rng(2)
    features, correct = rng.normal(size=(25, 6)), (rng.random((25, 9)) < 0.5) * 1.0
    predict = Probe(features, correct, lambda table: np.eye(9)).fitted(3.0)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    table = correct - correct.mean(axis=1, keepdims=True)
    weights = np.linalg.solve(scaled.T @ scaled + 3 * np.eye(6), scaled.T @ (table - table.mean(axis=0)))
    np.testing.assert_allclose(predict(features, 9), table.mean(axis=0) + scaled @ weights)
    np.testing.assert_allclose(predict(features, 0), np.tile(table.mean(axis=0), (25, 1)))
    np.testing.assert_allclose(predict(features, 2)[:, 2:], predict(features, 0)[:, 2:])


@pytest.mark.parametrize("name", PROBE)
def test_a_linear_probe_finds_what_is_linear_in_the_activations(name):
    rng = np.random.default_rng(3)
    grid, features = linear_grid(rng, questions=240, layers=5, size=10)
    labelled = labelled_grid(grid, features)
    pilot = [of_questions(labelled, {str(number) for number in range(160)})]
    judged = of_questions(labelled, {str(number) for number in range(160, 240)})
    probed = accuracy(judged, PROBE[name].learn(pilot)(judged.unlabelled))
    fixed = accuracy(judged, FIXED["fixed_pair"].learn(pilot)(judged.unlabelled))
    assert probed > 0.85 > fixed + 0.15


@pytest.mark.parametrize("name", PROBE)
def test_where_activations_tell_nothing_it_is_the_fixed_pair(name):
    rng = np.random.default_rng(4)
    labelled = labelled_grid(null_grid(rng, questions=60, layers=4), np.ones((60, 20)))
    places = PROBE[name].learn([labelled])(labelled.unlabelled)
    assert places.tolist() == FIXED["fixed_pair_of_all"].learn([labelled])(labelled.unlabelled).tolist()


@pytest.mark.parametrize("name", PROBE)
def test_a_pilot_where_all_is_wrong(name):
    labelled = labelled_grid(
        grid_of(np.zeros((6, 3, 3)), np.zeros((6, 3, 3))), np.random.default_rng(5).random((6, 4))
    )
    assert PROBE[name].learn([labelled])(labelled.unlabelled).tolist() == [0] * 6


def test_a_pilot_of_one_question():
    labelled = labelled_grid(grid_of(np.zeros((1, 2, 2)), [[[0, 0], [1, 0]]]), np.ones((1, 3)))
    assert all(selector.learn([labelled])(labelled.unlabelled).tolist() == [2] for selector in PROBE.values())


def test_activations_that_were_not_kept_are_named():
    labelled = labelled_grid(grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2))))
    with pytest.raises(ValueError, match="de: the activations were not kept"):
        PROBE["probe_layers"].learn([labelled])
