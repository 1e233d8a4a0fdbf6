from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.checks import check_grids
from tests.analysis.made import made_grid


def grid(**settings):
    return made_grid(np.random.default_rng(0), **settings)


def test_grids_are_put_in_order():
    made = [
        grid(language="de"),
        grid(language="sw", sublayer="attention"),
        grid(language="sw"),
        grid(benchmark="xcopa"),
    ]
    found = check_grids(iter(made))
    assert {key: list(own) for key, own in found.items()} == {
        ("ffn", "xnli"): ["de", "sw"],
        ("attention", "xnli"): ["sw"],
        ("ffn", "xcopa"): ["de"],
    }
    assert found["ffn", "xnli"]["sw"] is made[2]


def broken(**changes):
    return [replace(grid(), **changes)]


def cells(**changes):
    return [replace(grid(), cells=replace(grid().cells, **changes))]


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([], "there is no grid of answers to measure: sweep the pilot questions first"),
        ([grid(), grid()], "xnli in de, ffn: there are two grids; only one can be measured"),
        ([grid(questions=0)], "xnli in de, ffn: has no question, so there is nothing to measure"),
        (
            [grid(), grid(language="sw", layers=3)],
            "xnli in sw, ffn: has 3 layers, and xnli in de, ffn has 4: a summary is of one model",
        ),
        (broken(questions=("1", "2", "1", "4", "5", "6")), "has the question '1' twice"),
        (
            broken(questions=("1", "2")),
            r"cells are \(6, 4, 4\), and must be \(questions, layers, layers\) of 2",
        ),
        (cells(correct=np.ones((6, 4, 3), bool)), r"cells are \(6, 4, 3\), and must be"),
        (cells(correct=np.ones((6, 0, 0), bool)), r"cells are \(6, 0, 0\), and must be"),
        (
            broken(texts=grid().texts[:-1]),
            "texts, target and source are of 5, 6, 6 questions, and must be of 6",
        ),
        (broken(target=grid(questions=4).target), "texts, target and source are of 6, 4, 6 questions"),
        (cells(text=grid().cells.text + 4), "question '0': a cell's text is none of its 5"),
        (cells(text=grid().cells.text - 1), "question '0': a cell's text is none of its 5"),
    ],
)
def test_what_cannot_be_measured(grids, message):
    with pytest.raises(ValueError, match=message):
        check_grids(grids)
