"""Data of each grid in the report: a short overview for the pictures, and a block with every answer."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.cells.grid import Answers, Grid
from cctuning.analysis.measures import bounds
from cctuning.analysis.measures.likelihood import likelihood_changes
from cctuning.analysis.measures.strategies import best_pair
from cctuning.stats.bootstrap import Array

QuestionTexts: TypeAlias = Mapping[str, Any]
"""`id`, `prompt` (what is asked), `source_prompt` (what activations come from), `answers`, `options`."""


def overview(
    grid: Grid, pairs: Mapping[str, Sequence[int]] | None = None, chance: float | None = None
) -> dict[str, Any]:
    """The numbers of a grid's heatmaps and bounds: counts of right answers out of its questions.

    `likelihood`: the mean changes of the right answers' log-probability, in nats; None where none is known.

    `cells` has source layer i into target layer j at i * L + j; `best` is the first pair to look at. `pairs`:
    what the strategies choose, without those to which all their candidates are equally good. `chance` is the
    upper bound by chance, a share in [0, 1], where it is known.
    """
    questions = len(grid.questions)
    return {
        "benchmark": grid.benchmark,
        "language": grid.language,
        "sublayer": grid.sublayer,
        "askedIn": grid.asked_in,
        "sourceIn": grid.language if grid.asked_in != grid.language else "",  # else some centre language
        "layers": grid.layers,
        "questions": questions,
        "cells": grid.cells.correct.sum(axis=0).ravel().tolist(),
        "target": int(grid.target.correct.sum()),
        "source": int(grid.source.correct.sum()),
        "upper": round(bounds.upper_bound(grid) * questions),
        "chance": None if chance is None else chance * questions,
        "sourceBounds": _counts(bounds.source_bounds(grid), questions),
        "targetBounds": _counts(bounds.target_bounds(grid), questions),
        "best": list(best_pair(grid.cells.correct.sum(axis=0))),
        "strategies": {name: list(pair) for name, pair in (pairs or {}).items()},
        "likelihood": _mean_changes(grid),
    }


def block(grid: Grid, questions: Sequence[QuestionTexts]) -> dict[str, Any]:
    """Every answer of a grid, by question; a text that was answered often is there once.

    An answer is a number: twice its text's place in `texts`, and one more where it is right. `likelihood` are
    the changes of the right answers' log-probability, in nats; None where they are not known. `questions`
    may be in any order and more than the grid's. Raises `ValueError` where one of the grid's is missing.
    """
    known = {str(question["id"]): question for question in questions}
    missing = [name for name in grid.questions if name not in known]
    if missing:
        raise ValueError(
            f"{grid.benchmark}, {grid.language}: the texts of {len(missing)} questions are missing; "
            f'the first has the id "{missing[0]}".'
        )
    cells = _coded(grid.cells)
    changes = likelihood_changes(grid)
    target, source = _coded(grid.target), _coded(grid.source)
    return {
        "questions": [
            {
                "prompt": known[name]["prompt"],
                "sourcePrompt": known[name]["source_prompt"],
                "answers": list(known[name]["answers"]),
                "options": [[str(label), text] for label, text in (known[name].get("options") or {}).items()],
                "id": name,
                "texts": list(grid.texts[place]),
                "cells": cells[place].ravel().tolist(),
                "target": int(target[place]),
                "source": int(source[place]),
                "likelihood": None if changes is None else _rounded(changes[place], 2),
            }
            for place, name in enumerate(grid.questions)
        ]
    }


def _mean_changes(grid: Grid) -> list[float] | None:
    changes = likelihood_changes(grid)
    if changes is None or np.isnan(changes).all():
        return None
    return _rounded(changes[~np.isnan(changes).all((1, 2))].mean(0), 4)


def _rounded(changes: Array, decimals: int) -> list[float] | None:
    """The changes of all cells in their order; None where they are not known."""
    return None if np.isnan(changes).any() else changes.round(decimals).ravel().tolist()


def _coded(answers: Answers) -> NDArray[np.int64]:
    return 2 * answers.text.astype(np.int64) + answers.correct


def _counts(shares: NDArray[np.float64], questions: int) -> list[int]:
    return np.rint(np.asarray(shares) * questions).astype(int).tolist()
