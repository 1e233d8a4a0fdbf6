"""What the report holds of a grid: the whole of it, once each, and packed so that it comes back."""

import base64
import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.strategies import choose
from cctuning.analysis.measures.summary import summarise
from cctuning.analysis.report import write_report
from cctuning.analysis.report.blocks import block, overview
from cctuning.analysis.report.islands import packed_json
from tests.analysis.made import made_grid
from tests.analysis.report.studies import HOSTILE, hostile_study, made_questions, made_study


@pytest.fixture
def grid():
    return made_grid(np.random.default_rng(3), layers=3, questions=7)


def unpacked(text):
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))


def test_an_overview_has_the_bound_by_chance_where_it_is_known(grid):
    assert overview(grid)["chance"] is None
    assert overview(grid, chance=0.25)["chance"] == 0.25 * 7


def test_a_block_is_the_grid(grid):
    found = unpacked(packed_json(block(grid, made_questions(grid))))["questions"]
    assert [question["id"] for question in found] == list(grid.questions)
    for place, question in enumerate(found):
        assert question["prompt"] == f"de frame\nquestion {grid.questions[place]}?"
        assert question["texts"] == list(grid.texts[place])
        codes = np.array(question["cells"]).reshape(3, 3)
        assert (codes // 2 == grid.cells.text[place]).all()
        assert (codes % 2 == grid.cells.correct[place]).all()
        for name, answers in [("target", grid.target), ("source", grid.source)]:
            assert divmod(question[name], 2) == (answers.text[place], answers.correct[place])


def test_log_probabilities_are_there_where_they_are_known(grid):
    changes = grid.cells.right_log_probability - grid.target.right_log_probability[:, None, None]
    assert np.allclose(overview(grid)["likelihood"], changes.mean(0).ravel(), atol=1e-4)
    questions = block(grid, made_questions(grid))["questions"]
    for place, question in enumerate(questions):
        assert np.allclose(question["likelihood"], changes[place].ravel(), atol=0.006)
    known = grid.cells.right_log_probability.copy()
    known[1] = np.nan
    some = replace(grid, cells=replace(grid.cells, right_log_probability=known))
    assert block(some, made_questions(grid))["questions"][1]["likelihood"] is None
    assert np.allclose(overview(some)["likelihood"], np.delete(changes, 1, 0).mean(0).ravel(), atol=1e-4)
    none = replace(grid, cells=replace(grid.cells, right_log_probability=None))
    assert (
        overview(none)["likelihood"]
        is block(none, made_questions(grid))["questions"][0]["likelihood"]
        is None
    )


def test_the_hour_is_not_in_the_data(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    then = packed_json([1, 2, 3])
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert packed_json([1, 2, 3]) == then


def test_one_text_may_be_right_here_and_wrong_there(grid):
    """What is right is kept of each cell, not of each text."""
    correct = grid.cells.correct.copy()
    correct[2, 0, 1] ^= True
    changed = replace(grid, cells=replace(grid.cells, correct=correct))
    codes = [block(one, made_questions(one))["questions"][2]["cells"] for one in (grid, changed)]
    assert [place for place in range(9) if codes[0][place] != codes[1][place]] == [1]


def test_an_overview_counts_right_answers(grid):
    found = overview(grid)
    for source in range(3):
        for target in range(3):
            right = sum(bool(grid.cells.correct[question, source, target]) for question in range(7))
            assert found["cells"][source * 3 + target] == right
        anywhere = sum(any(grid.cells.correct[question, source]) for question in range(7))
        assert found["sourceBounds"][source] == anywhere
        assert found["targetBounds"][source] == sum(
            any(grid.cells.correct[question, :, source]) for question in range(7)
        )
    assert found["upper"] == sum(grid.cells.correct[question].any() for question in range(7))
    assert (found["target"], found["source"]) == (grid.target.correct.sum(), grid.source.correct.sum())
    assert tuple(found["best"]) == choose(grid)["overall"]
    assert found["strategies"] == {}


def test_no_pair_is_marked_where_all_candidates_tie(tmp_path):
    grids, summary, questions, _ = made_study()
    tied = grids[0].cells.correct.copy()
    tied[:, -1] = tied[:, -1, :1]  # every pair from the last source layer
    grids[0] = replace(grids[0], cells=replace(grids[0].cells, correct=tied))
    summary = summarise(grids, resamples=20)
    page = write_report(tmp_path, grids, summary, questions).read_text(encoding="utf-8")
    packed = re.search(r'<script type="application/gzip" id="overview">(.*?)</script>', page)[1]
    first, second, *_ = unpacked(packed)
    assert set(first["strategies"]) == {"overall", "target_first"}
    assert {name: tuple(pair) for name, pair in second["strategies"].items()} == choose(grids[1])


def test_languages_of_the_prompts(grid):
    there = overview(grid)
    assert (there["askedIn"], there["sourceIn"]) == ("de", "")  # from a centre language that is not told
    back = overview(replace(grid, asked_in="en"))
    assert (back["askedIn"], back["sourceIn"]) == ("en", "de")


def test_a_question_without_texts_is_an_error(grid):
    with pytest.raises(ValueError, match=r'xnli, de: the texts of 2 questions are missing.*the id "35"'):
        block(grid, [question for question in made_questions(grid) if question["id"] < 30])


def test_hostile_texts_come_back_from_the_page(tmp_path):
    grids, summary, questions = hostile_study()
    page = write_report(tmp_path, grids, summary, questions).read_text(encoding="utf-8")
    islands = dict(re.findall(r'<script type="application/gzip" id="([\w-]+)">(.*?)</script>', page))
    assert list(islands) == ["block-0", "overview", "plotly"]
    for question, text in zip(unpacked(islands["block-0"])["questions"], HOSTILE, strict=True):
        assert question["prompt"] == question["sourcePrompt"] == text
        assert (question["answers"], question["options"]) == ([text], [[text, text]])
        assert question["texts"] == list(HOSTILE)
