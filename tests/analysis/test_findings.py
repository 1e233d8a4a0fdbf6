"""What is made of a study: which question the lens shows, and selectors of every sub-layer and benchmark."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.cells.activations import Activations
from cctuning.analysis.findings import StudyCells, judge, shown_by_lens, write_summary
from cctuning.analysis.measures.strategies import choose
from cctuning.analysis.measures.summary import summarise
from cctuning.evaluation.items.item import Item
from tests.analysis.made import made_applied, made_grid

PAIRS = {"overall": (0, 1), "source_last": (3, 1), "target_first": (0, 0)}


def grids(questions=6, benchmarks=("xnli", "xcopa"), sublayers=("ffn", "attention")):
    rng = np.random.default_rng(0)
    return {
        (sublayer, benchmark, language): made_grid(
            rng, questions=questions, benchmark=benchmark, language=language, sublayer=sublayer
        )
        for sublayer in sublayers
        for benchmark in benchmarks
        for language in ("de", "sw")
    }


def items(found):
    return {
        key[1:]: [Item(id, key[2], "?", "?", ("1",), {"1": "yes", "2": "no"}) for id in grid.questions]
        for key, grid in found.items()
    }


def with_answers(grid, target, cells):
    """`grid` where only these answers are right: of questions, and of question, source and target layer."""
    own = np.zeros_like(grid.target.correct)
    own[target] = True
    others = np.zeros_like(grid.cells.correct)
    others[tuple(np.transpose(cells))] = True
    return replace(grid, target=replace(grid.target, correct=own), cells=replace(grid.cells, correct=others))


def test_the_lens_shows_the_first_question_that_the_chosen_pair_sets_right():
    made = grids(benchmarks=("xnli",), sublayers=("ffn",))
    german, swahili = made.values()
    # German: the best pair is right where the model is right anyway. Swahili: questions 2 and 4 are won.
    german = with_answers(german, [0, 1], [(0, 1, 2), (1, 1, 2)])
    swahili = with_answers(swahili, [0], [(0, 3, 0), (2, 3, 0), (4, 3, 0), (1, 0, 0)])
    found = StudyCells({("ffn", "xnli", "de"): german, ("ffn", "xnli", "sw"): swahili}, {})
    assert choose(swahili)["overall"] == (3, 0)
    assert shown_by_lens(found, "en") == {("ffn", "xnli", "sw"): (swahili.questions[2], (3, 0))}
    assert shown_by_lens(found, "sw") == {}


def test_nothing_is_shown_where_nothing_is_won():
    made = {
        key: with_answers(grid, range(6), [(0, 0, 0)]) for key, grid in grids(benchmarks=("xnli",)).items()
    }
    assert shown_by_lens(StudyCells(made, {}), "en") == {}


def test_selectors_are_judged_on_the_pilot_and_on_unseen_questions():
    groups = [("ffn", "xnli"), ("attention", "xcopa")]
    made = {key: grid for key, grid in grids().items() if key[:2] in groups}
    rng = np.random.default_rng(1)
    applied = {key: made_applied(rng, grid, PAIRS) for key, grid in made.items()}
    activations = {key: Activations(*rng.standard_normal((2, 6, 4, 8)).astype(np.float32)) for key in made}
    vectors = {"activations": activations, "unseen_activations": activations}
    found = StudyCells(made, {}, applied=applied, unseen=applied, **vectors)
    judged = judge(found, seed=0)
    assert [(one.sublayer, one.benchmark, one.unseen) for one in judged] == [
        (*group, unseen) for group in groups for unseen in (False, True)
    ]
    names = {verdict.name for verdict in judged[0].mean}
    assert {"original", "upper_bound", "vote", "probe_low_rank"} <= names


def test_without_activations_there_are_no_probes():
    judged = judge(StudyCells(grids(benchmarks=("xnli",), sublayers=("ffn",)), {}), seed=0)
    assert "probe_low_rank" in judged[0].left_out


def test_a_pilot_of_one_question_has_no_selectors():
    assert judge(StudyCells(grids(questions=1), {}), seed=0) == []


@pytest.mark.parametrize("unseen", [False, True])
def test_the_summary_is_json_without_nan(tmp_path, unseen):
    made = grids(benchmarks=("xnli",), sublayers=("ffn",))
    applied = {key: made_applied(np.random.default_rng(1), grid, PAIRS) for key, grid in made.items()}
    more = {"applied": applied, "unseen": applied} if unseen else {}
    summary = summarise(made.values(), more.get("applied", {}).values(), items=items(made))
    write_summary(tmp_path, summary, judge(StudyCells(made, {}, **more), seed=0))
    text = (tmp_path / "summary.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=pytest.fail)
    assert [one["unseen"] for one in content["selectors"]] == ([False, True] if unseen else [False])
    assert bool(content["unseen"]) == unseen
    assert (tmp_path / "tables" / "selectors.csv").exists()
