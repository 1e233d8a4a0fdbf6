import copy
import functools
import json
from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.bounds import pair_accuracy, upper_bound
from cctuning.analysis.measures.strategies import choose
from cctuning.analysis.measures.summary import MEASURES, summarise
from cctuning.evaluation.items.item import Item
from tests.analysis.made import made_applied, made_grid

LANGUAGES = ("en", "de", "sw")


def study(seed=0):
    """Two sub-layers and two benchmarks, of one of which attention has two languages only."""
    rng = np.random.default_rng(seed)
    grids = [
        made_grid(rng, questions=5, layers=3, benchmark=benchmark, language=language, sublayer=sublayer)
        for sublayer, benchmark, languages in [
            ("ffn", "xnli", LANGUAGES),
            ("ffn", "globalopinionqa", LANGUAGES),
            ("attention", "xnli", LANGUAGES[:2]),
        ]
        for language in languages
    ]
    return grids, [made_applied(rng, grid, choose(grid)) for grid in grids]


@functools.cache
def _summarised():
    return summarise(*study(), resamples=200)


def summarised(**settings):
    """The summary of the study; one that may be changed."""
    return summarise(*study(), resamples=200, **settings) if settings else copy.deepcopy(_summarised())


def test_the_summary_is_json_without_nan():
    summary = summarised()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert list(summary) == ["about", *MEASURES, "sublayers", "pairs", "choices", "unseen", "proposals"]


def test_every_measure_has_every_grid():
    grids, _ = study()
    summary = summarised()
    for measure in MEASURES:
        assert {key: list(own) for key, own in summary[measure].items()} == {
            "ffn": ["xnli", "globalopinionqa"],
            "attention": ["xnli"],
        }, measure
    for grid in grids:
        own = summary["bounds"][grid.sublayer][grid.benchmark]
        assert own["upper_bound"][grid.language]["value"] == pytest.approx(upper_bound(grid))
        assert np.allclose(own["accuracy_by_pair"][grid.language]["value"], pair_accuracy(grid))
        chosen = summary["choices"][grid.sublayer][grid.benchmark][grid.language]
        assert {name: tuple(choice["pair"]) for name, choice in chosen.items()} == choose(grid)
        assert summary["pairs"][grid.sublayer][grid.benchmark][grid.language] == {
            name: choice["pair"] for name, choice in chosen.items() if choice["tied"] < choice["candidates"]
        }
    assert [list(one.values())[:4] for one in summary["about"]["grids"]][-1] == [
        "attention",
        "xnli",
        "de",
        "de",
    ]
    assert summary["about"]["axes"]["tries"] == [1, 2, 4, 8, 9]


def test_sublayers_are_compared_where_both_were_swept():
    found = summarised()["sublayers"]
    assert {key: list(own) for key, own in found.items()} == {"attention-ffn": ["xnli"]}
    assert list(found["attention-ffn"]["xnli"]["both"]) == ["en", "de", "mean", "pooled"]
    grids = {(grid.sublayer, grid.benchmark, grid.language): grid for grid in study()[0]}
    own = found["attention-ffn"]["xnli"]["accuracy_difference"]["de"]["value"]
    means = [grids[sublayer, "xnli", "de"].cells.correct.mean() for sublayer in ("attention", "ffn")]
    assert own == pytest.approx(means[0] - means[1])


def test_every_sublayer_has_its_unseen_scores():
    found = summarised()["unseen"]
    assert list(found) == ["ffn", "attention"]
    names = {score["name"] for score in found["ffn"]["scores"]}
    assert names == {"original", "source", "overall", "source_last", "target_first"}


def test_items_add_what_chance_gives():
    assert "chance_bound" not in summarised()["bounds"]["ffn"]["xnli"]
    grids, _ = study()
    items = {
        (grid.benchmark, grid.language): [
            Item(int(id), grid.language, "?", "?", ("1",), {"1": "one", "2": "two"}) for id in grid.questions
        ]
        for grid in grids
    }
    found = summarised(items=items)["bounds"]["ffn"]["xnli"]["chance_bound"]
    assert list(found) == [*LANGUAGES, "mean", "pooled"]


def test_the_seed_decides_and_nothing_else():
    assert summarised(seed=0) == summarised()
    assert summarised(seed=1)["bounds"] != summarised()["bounds"]
    grids, _ = study()
    alone = summarise(grids[3:6], resamples=200)  # one of three groups
    assert alone["bounds"]["ffn"]["globalopinionqa"] == summarised()["bounds"]["ffn"]["globalopinionqa"]


def test_another_centre():
    found = summarised(centre="sw")["centre"]
    assert list(found["ffn"]["xnli"]["gain"]) == ["sw", "others"]
    assert found["attention"]["xnli"] == {}


def test_nothing_to_measure_and_unknown_benchmarks_are_errors():
    with pytest.raises(ValueError, match="there is no grid of answers to measure"):
        summarise([])
    with pytest.raises(ValueError, match=r"benchmark 'xnly' is not one of .*xnli"):
        summarise([replace(made_grid(np.random.default_rng(0)), benchmark="xnly")])


@pytest.mark.parametrize(("questions", "layers"), [(1, 1), (1, 3), (4, 1), (4, 3)])
@pytest.mark.parametrize("right", [0.0, 0.5, 1.0])
def test_small_and_uniform_grids(questions, layers, right):
    rng = np.random.default_rng(0)
    grids = [
        made_grid(rng, questions=questions, layers=layers, right=right, language=language)
        for language in LANGUAGES
    ]
    for grid in grids:
        for answers in (grid.cells, grid.target):
            answers.log_probability[:] = np.nan
            answers.plain_log_probability[:] = np.nan
    summary = summarise(grids, [made_applied(rng, grid, choose(grid)) for grid in grids], resamples=100)
    json.dumps(summary, allow_nan=False)
    found = summary["bounds"]["ffn"]["xnli"]["upper_bound"]["mean"]
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    if right != 0.5:
        assert found["value"] == right
    assert summary["perplexity"]["ffn"]["xnli"]["perplexity"]["de"]["value"] is None
