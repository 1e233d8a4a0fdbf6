"""Grids written as rows of cells come back as they were; a file that lacks a cell is told."""

from dataclasses import fields, replace

import numpy as np
import pytest

from cctuning.analysis.cells.load_cells import CellFiles, read_applied, read_grid
from cctuning.analysis.cells.store import CellsError, write_cells
from tests.analysis.made import made_grid


def rows_of(grid, question, kinds=("transplant", "target", "source")):
    """A question's rows, one by one, as the runner would write them."""

    def row(kind, answers, place, pair=(None, None)):
        options, plain = answers.option_log_probabilities, answers.plain_log_probability[place]
        return {
            "question": grid.questions[question],
            "language": grid.language,
            "kind": kind,
            "source_layer": pair[0],
            "target_layer": pair[1],
            "tokens": list(range(answers.new_tokens[place])),
            "text": grid.texts[question][answers.text[place]],
            "log_probability": answers.log_probability[place],
            "plain_log_probability": None if np.isnan(plain) else plain,
            "option_log_probabilities": None
            if options is None
            else options[place][~np.isnan(options[place])].tolist(),
            "score": float(answers.correct[place]),
            "correct": bool(answers.correct[place]),
            "right_log_probability": answers.right_log_probability[place],
        }

    every = [
        row("transplant", grid.cells, (question, *pair), pair)
        for pair in np.ndindex(grid.layers, grid.layers)
    ]
    every += [row("target", grid.target, question), row("source", grid.source, question)]
    return [one for one in every if one["kind"] in kinds]


def written(folder, grid, *, change=lambda rows: rows):
    """Files of cells in an order of their own: cells backwards, sources of other questions among them."""
    cells = []
    for question in range(len(grid.questions)):
        cells.append(folder / f"{question}.parquet")
        write_cells(
            cells[-1], change(rows_of(grid, question, ("transplant", "target"))[::-1]), fingerprint="x"
        )
    sources = folder / "sources.parquet"
    others = made_grid(np.random.default_rng(9), questions=2, layers=grid.layers)
    others = replace(others, questions=("other", "another"))
    rows = [*rows_of(others, 1, ("source",))]
    rows += [one for question in range(len(grid.questions)) for one in rows_of(grid, question, ("source",))]
    write_cells(sources, rows, fingerprint="x")
    return CellFiles(
        grid.benchmark, grid.language, grid.sublayer, grid.asked_in, grid.questions, cells, [sources]
    )


def assert_same(found, expected, found_texts, texts):
    for field in fields(expected):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "text":  # numbered anew
            for place in np.ndindex(theirs.shape):
                assert found_texts[place[0]][ours[place]] == texts[place[0]][theirs[place]]
        elif theirs is None:
            assert ours is None
        else:
            assert np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f"), field.name


@pytest.mark.parametrize("options", [0, 3])
def test_a_grid_comes_back(tmp_path, options):
    grid = made_grid(np.random.default_rng(0), questions=5, layers=3, options=options)
    found = read_grid(written(tmp_path, grid))
    assert (found.questions, found.language, found.asked_in) == (grid.questions, "de", grid.asked_in)
    assert found.layers == 3
    for name in ("cells", "target", "source"):
        assert_same(getattr(found, name), getattr(grid, name), found.texts, grid.texts)


def test_chosen_pairs_come_back_out_of_a_grid_and_out_of_few_cells(tmp_path):
    grid = made_grid(np.random.default_rng(1), questions=4, layers=3)
    pairs = {"overall": (2, 1), "source_last": (2, 1), "target_first": (0, 0)}
    chosen = {(2, 1), (0, 0), (None, None)}

    def only_chosen(rows):
        return [row for row in rows if (row["source_layer"], row["target_layer"]) in chosen]

    for place, change in (("all", lambda rows: rows), ("few", only_chosen)):
        applied = read_applied(written(tmp_path / place, grid, change=change), pairs, ["a", "b", "c", "d"])
        for name, (source, target) in pairs.items():
            assert np.array_equal(applied.strategies[name].correct, grid.cells.correct[:, source, target])
        assert np.array_equal(applied.target.correct, grid.target.correct)


def test_an_option_that_only_one_question_has_is_nan_for_the_others(tmp_path):
    grid = made_grid(np.random.default_rng(1), questions=2, layers=2, options=3)

    def shorter(rows):
        for row in rows if rows[0]["question"] == grid.questions[0] else []:
            row["option_log_probabilities"] = row["option_log_probabilities"][:2]
        return rows

    scores = read_grid(written(tmp_path, grid, change=shorter)).cells.option_log_probabilities
    assert scores.shape == (2, 2, 2, 3)
    assert np.isnan(scores[0, ..., 2]).all() and not np.isnan(scores[1]).any()
    assert np.array_equal(scores[0, ..., :2], grid.cells.option_log_probabilities[0, ..., :2])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[:-1], "question 0 lacks a cell"),
        (
            lambda rows: [row for row in rows if row["kind"] != "target"],
            "kind target: question 0 lacks a cell",
        ),
        (lambda rows: [*rows, rows[-1]], "a cell is there twice"),
    ],
)
def test_a_grid_that_is_not_whole_is_an_error(tmp_path, change, said):
    grid = made_grid(np.random.default_rng(0), questions=2, layers=2)
    with pytest.raises(CellsError, match=said):
        read_grid(written(tmp_path, grid, change=change))


def test_a_question_that_nobody_asked_is_an_error(tmp_path):
    grid = made_grid(np.random.default_rng(0), questions=2, layers=2)
    files = written(tmp_path, grid)
    with pytest.raises(CellsError, match="question new lacks a cell"):
        read_grid(replace(files, questions=(*files.questions, "new")))
