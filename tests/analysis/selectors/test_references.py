import numpy as np

from cctuning.analysis.measures.strategies import choose
from cctuning.analysis.selectors.answers import labelled_grid
from cctuning.analysis.selectors.references import FIXED, REFERENCES
from tests.analysis.made import made_grid
from tests.analysis.selectors.planted import grid_of

CORRECT = np.array([[[1, 0], [1, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]])
EMPTY = np.zeros((3, 2, 2))


def chosen(name, unlabelled, pilot):
    rule = FIXED[name].learn([labelled_grid(one) for one in pilot])
    return rule(labelled_grid(unlabelled).unlabelled).tolist()


def test_references_by_hand():
    labelled = labelled_grid(grid_of(EMPTY, CORRECT, original=[1, 1, 0]))
    scores = {name: reference(labelled).tolist() for name, reference in REFERENCES.items()}
    assert scores == {"original": [1, 1, 0], "random_pair": [0.75, 0, 0.25], "upper_bound": [1, 0, 1]}


def test_the_fixed_pair_is_the_best_of_its_language():
    german, french = grid_of(EMPTY, CORRECT), grid_of(EMPTY, CORRECT[:, ::-1], language="fr")
    pilot = [german, french]
    unlabelled = grid_of(EMPTY[:2], EMPTY[:2])
    assert chosen("fixed_pair", unlabelled, pilot) == [3, 3]
    assert chosen("fixed_pair", grid_of(EMPTY[:1], EMPTY[:1], language="fr"), pilot) == [1]
    # All alike: the lowest target layer, and of those the highest source layer.
    assert chosen("fixed_pair", unlabelled, [grid_of(EMPTY, EMPTY)]) == [2, 2]


def test_the_fixed_pair_is_the_strategies_overall():
    rng = np.random.default_rng(0)
    for _ in range(20):  # with few questions, ties are frequent
        grid = made_grid(rng, questions=3, layers=3)
        place = chosen("fixed_pair", grid, [grid])[0]
        assert divmod(place, 3) == choose(grid)["overall"]


def test_the_fixed_pair_of_all_is_the_best_over_languages():
    once = np.zeros((3, 2, 2))
    once[0, 0, 1] = 1
    pilot = [
        grid_of(EMPTY, CORRECT),
        grid_of(EMPTY, once, language="fr"),
        grid_of(EMPTY, once, language="es"),
    ]
    # Pair 1 is right in a third of two languages, pair 3 in two thirds of one: alike, so the higher source.
    assert chosen("fixed_pair_of_all", grid_of(EMPTY, EMPTY), pilot) == [3, 3, 3]
    assert chosen("fixed_pair_of_all", grid_of(EMPTY, EMPTY), pilot[1:]) == [1, 1, 1]


def test_a_language_without_questions_to_learn_from_gets_the_pair_of_all():
    pilot = [grid_of(EMPTY, CORRECT)]
    assert chosen("fixed_pair", grid_of(EMPTY, EMPTY, language="sw"), pilot) == [3, 3, 3]
