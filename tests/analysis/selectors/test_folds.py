import numpy as np

from cctuning.analysis.selectors.folds import folds


def test_every_id_is_in_one_fold_and_folds_are_of_like_size():
    ids = [str(number) for number in range(23)] * 3
    parts = folds(ids, 5, np.random.default_rng(0))
    assert sorted(len(part) for part in parts) == [4, 4, 5, 5, 5]
    assert sorted(id for part in parts for id in part) == sorted(set(ids))


def test_folds_are_drawn_and_do_not_depend_on_the_order_of_the_ids():
    ids = [str(number) for number in range(20)]
    parts = folds(ids, 4, np.random.default_rng(0))
    assert parts == folds(ids[::-1], 4, np.random.default_rng(0))
    assert parts != folds(ids, 4, np.random.default_rng(1))


def test_no_more_folds_than_ids():
    assert sorted(map(sorted, folds(["b", "a", "b"], 5, np.random.default_rng(0)))) == [["a"], ["b"]]
