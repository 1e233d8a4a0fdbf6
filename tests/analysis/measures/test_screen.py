"""What the screen shows of a study is what its summary says."""

import numpy as np
import pytest

from cctuning.analysis.measures.screen import screen_tables
from cctuning.analysis.measures.summary import summarise
from tests.analysis.made import made_applied, made_grid
from tests.screen import printed


def rows(text):
    """The cells of all rows, those below the first line of a row too."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]


def test_means_of_the_pilot_and_of_unseen_questions():
    rng = np.random.default_rng(0)
    grids = [made_grid(rng, questions=8, language=language) for language in ("de", "fr")]
    pairs = {"overall": (0, 1), "source_last": (3, 1), "target_first": (0, 0)}
    applied = [made_applied(rng, grid, pairs) for grid in grids]
    text = printed(*screen_tables(summarise(grids, applied, resamples=200)), width=120)
    original = 100 * np.mean([grid.target.correct.mean() for grid in grids])
    upper = 100 * np.mean([grid.cells.correct.any((1, 2)).mean() for grid in grids])
    overall = 100 * np.mean([one.strategies["overall"].correct.mean() for one in applied])
    pilot, intervals, *unseen = rows(text)
    assert pilot[:3] == ["XNLI", "ffn", f"{original:.1f}"] and pilot[4] == f"{upper:.1f}"
    assert intervals[:2] == ["", ""] and intervals[2][0] == "["
    assert unseen[0][:3] == ["XNLI", "ffn", "original"]
    found = {row[2]: row[3] for row in unseen}
    assert [*found] == ["original", "source", "overall", "source_last", "target_first"]
    assert found["overall"].startswith(f"{overall:.1f} [")


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_broken_on_narrow_screens(width):
    every = {"value": 1.0, "low": 0.92, "high": 1.0}
    bounds = {name: {"mean": every} for name in ("original", "source", "upper_bound", "chance_bound")}
    score = {"benchmark": "globalopinionqa", "language": None, "is_main": True, "score": 1.0}
    names = ["original", "target_first", "a-model-with-a-longer-name"]
    scores = [score | {"name": name, "interval": [0.92, 1.0]} for name in names]
    summary = {
        "bounds": {"attention": {"globalopinionqa": bounds}},
        "unseen": {"attention": {"scores": scores}},
    }
    text = printed(*screen_tables(summary), width=width)
    assert max(map(len, text.splitlines())) <= width
    pilot, intervals, *unseen = rows(text)
    assert pilot == ["GlobalOpinionQA", "attention", *["100.0"] * 4]
    assert intervals == ["", "", *["[92, 100]"] * 4]
    assert [row[2:] for row in unseen] == [[name, "100.0 [92, 100]"] for name in names]


def test_without_unseen_questions_there_are_no_columns_of_them():
    grid = made_grid(np.random.default_rng(1), questions=6)
    assert "Unseen" not in printed(*screen_tables(summarise([grid], resamples=200)), width=120)
