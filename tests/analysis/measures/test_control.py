from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures.control import measure_control
from cctuning.analysis.measures.proposals import proposal_lines, propose
from cctuning.analysis.measures.summary import summarise
from cctuning.commands.schemas import TrainRecipe
from cctuning.settings.recipe import load_recipe
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling

NAME = "over_control_log_probability"
LAYERS = 3


def with_nats(grid, nats):
    return replace(grid, cells=replace(grid.cells, right_log_probability=nats))


def study(seed, *, questions=24, gain=0.0, place=(2, 1), sublayers=("ffn",), languages=("de", "en", "sw")):
    """Grids and controls by sub-layer and language; `place` in the last sub-layer gains so many nats."""
    rng = np.random.default_rng(seed)
    grids, controls = {}, {}
    for sublayer in sublayers:
        for language in languages:
            grid = made_grid(rng, questions=questions, layers=LAYERS, language=language, sublayer=sublayer)
            nats = rng.normal(-5, 1, size=(questions, LAYERS, LAYERS))
            control = nats + rng.normal(0, 1, size=nats.shape)
            if sublayer == sublayers[-1]:
                nats[:, *place] += gain
            grids.setdefault(sublayer, {})[language] = with_nats(grid, nats)
            controls.setdefault(sublayer, {})[language] = with_nats(grid, control)
    return grids, controls


def proposed(grids, controls):
    first = next(iter(grids.values()))
    return propose(grids, controls, dict.fromkeys(grids, resampling(*first.values())), centre="en")


@pytest.mark.parametrize("seed", range(3))
def test_differences_against_loops(seed):
    grids, controls = ({"de": one["ffn"]["de"]} for one in study(seed, questions=5))
    found = measure_control(grids, controls, resampling(grids["de"]))
    right = grids["de"].cells.right_log_probability
    wrong, original = controls["de"].cells.right_log_probability, controls["de"].target.right_log_probability
    over, change = np.zeros((2, LAYERS, LAYERS))
    for question, i, j in np.ndindex(right.shape):
        over[i, j] += (right[question, i, j] - wrong[question, i, j]) / 5
        change[i, j] += (wrong[question, i, j] - original[question]) / 5
    assert np.allclose(found[f"{NAME}_by_pair"]["de"].value, over)
    assert np.allclose(found[f"{NAME}_by_source_layer"]["de"].value, over.mean(1))
    assert np.allclose(found[f"{NAME}_by_target_layer"]["de"].value, over.mean(0))
    assert found[NAME]["de"].value == pytest.approx(over.mean())
    assert np.allclose(found["control_log_probability_change_by_pair"]["de"].value, change)


def test_without_a_control_there_is_nothing():
    grids, _ = study(0)
    assert measure_control(grids["ffn"], {}, resampling(*grids["ffn"].values())) == {}
    assert proposed(grids, {}) is None
    assert summarise(grids["ffn"].values(), resamples=200)["proposals"] == {}


def test_the_pair_that_gains_is_proposed_in_the_words_of_a_recipe():
    grids, controls = study(0, gain=2.0, sublayers=("attention", "ffn"))
    found = proposed(grids, controls)
    (pair,) = found.pairs
    assert pair == found.best and (pair.sublayer, pair.source_layer, pair.target_layer) == ("ffn", 2, 1)
    of_languages = [
        (grids["ffn"][name].cells.right_log_probability - controls["ffn"][name].cells.right_log_probability)[
            :, 2, 1
        ].mean()
        for name in ("de", "sw")  # the centre's prompts are their own sources
    ]
    assert pair.value == pytest.approx(np.mean(of_languages)) and 0 < pair.low < pair.value < pair.high
    recipe = load_recipe(["model_name_or_path=x", "data=[y]", *pair.settings.split()], TrainRecipe)
    connection = recipe.connection.config()
    assert (connection.layer, connection.target_layer, connection.sublayer) == (2, 1, "ffn")


def test_a_proposal_counts_what_was_measured():
    """Questions whose right answers were not scored tell nothing, nor does a language of such."""
    grids, controls = study(0, gain=4.0, languages=("ar", "de", "sw"))
    for name, known in (("ar", 0), ("de", 19), ("sw", 21)):
        grids["ffn"][name].cells.right_log_probability[known:] = np.nan
    found = proposed(grids, controls)
    assert found.languages == ("de", "sw") and found.questions == 21 and found.enough and found.pairs
    grids["ffn"]["sw"].cells.right_log_probability[19:] = np.nan
    found = proposed(grids, controls)
    assert (found.questions, found.enough, found.pairs) == (19, False, ())
    of_all = measure_control(grids["ffn"], controls["ffn"], resampling(*grids["ffn"].values()))[NAME]
    assert {name: of_all[name].questions for name in of_all} == {
        "ar": 0,
        "de": 19,
        "sw": 19,
        "mean": 19,
        "pooled": 19,
    }


def test_most_studies_without_a_gain_propose_nothing():
    """An interval for each pair by itself would find one in most of them: of 18 pairs, by chance."""
    found = [proposed(*study(seed, sublayers=("ffn", "block"))).pairs for seed in range(40)]
    assert sum(map(bool, found)) <= 4
    grids, controls = study(0)
    summary = summarise(grids["ffn"].values(), control=controls["ffn"].values(), resamples=1000, centre="en")
    assert "no pair's interval is above 0" in " ".join(proposal_lines(summary["proposals"]))


def test_what_no_connection_could_do_is_no_proposal():
    grids, controls = (made["ffn"].values() for made in study(0, gain=2.0))
    whole, without = (
        summarise(grids, control=controls, resamples=200, connectable=connectable)
        for connectable in (True, False)
    )
    assert whole["proposals"]["xnli"]["pairs"] and without == whole | {"proposals": {}}


@pytest.mark.parametrize(
    "change", [{"questions": 19}, {"sublayers": ("attention_residual",)}, {"languages": ("en",)}]
)
def test_what_no_pair_can_be_proposed_of(change):
    found = proposed(*study(0, gain=5.0, **change))
    assert found is None or (not found.pairs and not found.enough)
