"""Grids put in order, by sub-layer, benchmark and language, and checked for what cannot be measured."""

from collections.abc import Iterable

from cctuning.analysis.cells.grid import Grid

Groups = dict[tuple[str, str], dict[str, Grid]]  # (sub-layer, benchmark) -> language -> grid


def check_grids(grids: Iterable[Grid]) -> Groups:
    """The grids by sub-layer and benchmark, and there by language, in their order.

    Raises `ValueError` where there is none, one is there twice, one has no question, a question twice, or
    arrays that do not fit each other, and where grids differ in their number of layers.
    """
    groups: Groups = {}
    first: Grid | None = None
    for grid in grids:
        by_language = groups.setdefault((grid.sublayer, grid.benchmark), {})
        if grid.language in by_language:
            raise ValueError(f"{_name(grid)}: there are two grids; only one can be measured")
        if fault := _fault(grid):
            raise ValueError(f"{_name(grid)}: {fault}")
        first = first or grid
        if grid.layers != first.layers:
            raise ValueError(
                f"{_name(grid)}: has {grid.layers} layers, and {_name(first)} has {first.layers}: a "
                "summary is of one model"
            )
        by_language[grid.language] = grid
    if not groups:
        raise ValueError("there is no grid of answers to measure: sweep the pilot questions first")
    return groups


def _name(grid: Grid) -> str:
    return f"{grid.benchmark} in {grid.language}, {grid.sublayer}"


def _fault(grid: Grid) -> str | None:
    """The fault of a grid, in words; None for none."""
    count, shape = len(grid.questions), grid.cells.correct.shape
    if not count:
        return "has no question, so there is nothing to measure"
    if twice := next((id for id in grid.questions if grid.questions.count(id) > 1), None):
        return f"has the question {twice!r} twice"
    if len(shape) != 3 or shape[0] != count or shape[1] != shape[2] or not shape[1]:
        return f"its cells are {shape}, and must be (questions, layers, layers) of {count} questions"
    sizes = [len(grid.texts), *(len(answers.correct) for answers in (grid.target, grid.source))]
    if sizes != [count] * 3:
        return (
            f"texts, target and source are of {', '.join(map(str, sizes))} questions, and must be of {count}"
        )
    for id, texts, places in zip(grid.questions, grid.texts, grid.cells.text, strict=True):
        if not 0 <= places.min() <= places.max() < len(texts):
            return f"question {id!r}: a cell's text is none of its {len(texts)}"
    return None
