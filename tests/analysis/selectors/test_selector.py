import numpy as np

from cctuning.analysis.selectors.selector import best

NAN = float("nan")


def test_the_highest_and_of_those_alike_the_next_score_and_then_the_first():
    first = np.array([[1.0, 3.0, 2.0], [5.0, 1.0, 5.0], [2.0, 2.0, 2.0]])
    assert best(first).tolist() == [1, 0, 0]
    assert best(first, np.array([[9.0, 0.0, 9.0], [1.0, 9.0, 2.0], [0.0, 4.0, 4.0]])).tolist() == [1, 2, 1]


def test_nan_is_never_the_best_but_where_there_is_nothing_else():
    assert best(np.array([[NAN, -7.0, NAN], [NAN, NAN, NAN]])).tolist() == [1, 0]
    tied = np.array([[NAN, 1.0, 1.0]])
    assert best(tied, np.array([[9.0, NAN, -np.inf]])).tolist() == [1]
