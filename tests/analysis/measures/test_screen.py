"""What the screen shows of a study is what its summary says."""

import numpy as np
from rich.console import Console

from cctuning.analysis.measures.screen import screen_tables
from cctuning.analysis.measures.summary import summarise
from tests.analysis.made import made_applied, made_grid


def shown(tables):
    console = Console(width=120)
    with console.capture() as captured:
        console.print(*tables)
    return captured.get()


def rows(text):
    found = [line for line in text.splitlines() if "XNLI" in line]
    return [[cell.split("[")[0].strip() for cell in line.split("│")[1:-1]] for line in found]


def test_means_of_the_pilot_and_of_unseen_questions():
    rng = np.random.default_rng(0)
    grids = [made_grid(rng, questions=8, language=language) for language in ("de", "fr")]
    pairs = {"overall": (0, 1), "source_last": (3, 1), "target_first": (0, 0)}
    applied = [made_applied(rng, grid, pairs) for grid in grids]
    text = shown(screen_tables(summarise(grids, applied, resamples=200)))
    original = 100 * np.mean([grid.target.correct.mean() for grid in grids])
    upper = 100 * np.mean([grid.cells.correct.any((1, 2)).mean() for grid in grids])
    overall = 100 * np.mean([one.strategies["overall"].correct.mean() for one in applied])
    pilot, unseen = rows(text)
    assert pilot[:3] == ["XNLI", "ffn", f"{original:.1f}"] and pilot[4] == f"{upper:.1f}"
    assert unseen[4] == f"{overall:.1f}"  # after original and source


def test_without_unseen_questions_there_are_no_columns_of_them():
    grid = made_grid(np.random.default_rng(1), questions=6)
    assert "Unseen" not in shown(screen_tables(summarise([grid], resamples=200)))
