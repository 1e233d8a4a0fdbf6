import numpy as np

from cctuning.analysis.selectors.features import features


def test_few_numbers_are_kept_as_they_are_each_layer_of_length_1():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(4, 3, 5)), 100 * rng.normal(size=(4, 3, 5))
    found = features(source, target).reshape(4, 2, 3, 5)
    np.testing.assert_allclose((found**2).sum(axis=3), 1.0)
    np.testing.assert_allclose(found[2, 1, 1], target[2, 1] / np.linalg.norm(target[2, 1]))
    np.testing.assert_allclose(found[3, 0, 2], source[3, 2] / np.linalg.norm(source[3, 2]))


def test_a_projection_nearly_keeps_distances():
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(2, 8, 6, 128))
    source[4:], target[4:] = source[:4] + 0.3 * source[4:], target[:4]  # some are near, some far
    full = features(source, target, size=10**6)
    short = features(source, target, size=512)
    assert full.shape == (8, 1536) and short.shape == (8, 512)
    first, second = np.triu_indices(8, 1)
    before = np.linalg.norm(full[first] - full[second], axis=1)
    after = np.linalg.norm(short[first] - short[second], axis=1)
    np.testing.assert_allclose(after, before, rtol=0.2)
    assert before.max() > 1.5 * before.min()


def test_a_questions_features_do_not_depend_on_the_others():
    source, target = np.random.default_rng(2).normal(size=(2, 6, 4, 200))
    every = features(source, target)
    np.testing.assert_allclose(features(source[2:3], target[2:3]), every[2:3])
    np.testing.assert_array_equal(features(source, target), every)


def test_activations_of_zero_length_are_zeros():
    assert not features(np.zeros((1, 2, 3)), np.zeros((1, 2, 3))).any()
