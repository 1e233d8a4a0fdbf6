from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.bounds import answered
from cctuning.analysis.measures.chance import measure_chance, right_by_chance
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling

SCORE = find_benchmark("xcopa").metrics[0].score
LABELS = ("(1)", "(2)")


def asked(golds, cells):
    """A grid of questions with two options, with these gold labels and answers, (Q, L, L), and its items."""
    cells = np.array(cells, dtype=np.int32)
    count = len(golds)
    grid = made_grid(
        np.random.default_rng(0),
        questions=count,
        layers=cells.shape[1],
        distinct=2,
        texts=(LABELS,) * count,
        benchmark="xcopa",
    )
    items = [
        Item(int(id), "de", "Which?", "Which?", (gold,), {"1": "one", "2": "two"})
        for id, gold in zip(grid.questions, golds, strict=True)
    ]
    right = [
        [[LABELS[one] == f"({gold})" for one in row] for row in own]
        for gold, own in zip(golds, cells, strict=True)
    ]
    return replace(grid, cells=replace(grid.cells, text=cells, correct=np.array(right))), items


def test_pairs_that_name_every_label_are_right_by_chance():
    grid, items = asked("1221", [[[0, 1], [1, 0]]] * 4)
    assert answered(grid).all()
    assert right_by_chance(grid, items, SCORE, np.random.default_rng(0)).tolist() == [1.0] * 4


def test_pairs_that_know_are_not():
    golds = "12" * 20
    grid, items = asked(golds, [[[int(gold) - 1] * 2] * 2 for gold in golds])
    found = right_by_chance(grid, items, SCORE, np.random.default_rng(0), rounds=39)
    assert answered(grid).all()
    assert found.tolist() == pytest.approx([19 / 39] * 40)


def test_against_loops():
    random = np.random.default_rng(3)
    golds = [str(one) for one in random.integers(1, 3, size=7)]
    grid, items = asked(golds, random.integers(2, size=(7, 1, 1)))
    found = right_by_chance(grid, items, SCORE, np.random.default_rng(0), rounds=100)
    for question in range(7):
        answer = LABELS[grid.cells.text[question, 0, 0]]
        others = [f"({gold})" == answer for place, gold in enumerate(golds) if place != question]
        assert found[question] == pytest.approx(sum(others) / 6)


def test_languages_are_judged_by_the_same_questions():
    golds = "1221212"
    grid, items = asked(golds, np.random.default_rng(1).integers(2, size=(7, 1, 1)))
    grids = {"de": grid, "sw": replace(grid, language="sw")}
    found = measure_chance(grids, {"de": items, "sw": items}, SCORE, resampling(*grids.values()), 0)
    assert found["chance_bound"]["de"].value == found["chance_bound"]["sw"].value
    other = measure_chance(grids, {"de": items, "sw": items}, SCORE, resampling(*grids.values()), 1)
    assert other["chance_bound"]["de"].value != found["chance_bound"]["de"].value


def test_one_question_has_no_other():
    grid, items = asked("1", [[[0]]])
    assert np.isnan(right_by_chance(grid, items, SCORE, np.random.default_rng(0))).all()


def test_items_of_another_grid_are_an_error():
    grid, items = asked("12", [[[0]], [[1]]])
    with pytest.raises(ValueError, match="xcopa in de: the items are not the questions of the grid"):
        measure_chance({"de": grid}, {"de": items[::-1]}, SCORE, resampling(grid), 0)


def test_the_bound_less_chance_is_paired():
    grid, items = asked("1221212", np.random.default_rng(1).integers(2, size=(7, 1, 1)))
    found = measure_chance({"de": grid}, {"de": items}, SCORE, resampling(grid), 0)
    above, chance = found["bound_over_chance"]["de"], found["chance_bound"]["de"]
    assert above.value == pytest.approx(grid.cells.correct.any((1, 2)).mean() - chance.value)
    assert above.low <= above.value <= above.high
