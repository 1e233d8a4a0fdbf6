from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.measures import consistency as module
from cctuning.analysis.measures.consistency import consistency, measure_consistency
from cctuning.data.language_id import language_consistency
from cctuning.stats.estimates import MEAN
from tests.analysis.made import made_grid
from tests.analysis.measures.test_bounds import resampling

GERMAN = "Die Antwort steht im zweiten Satz des Textes."
ENGLISH = "The answer is in the second sentence of the text."
FRENCH = "La réponse se trouve dans la deuxième phrase du texte."
SHORT = "(2)"


def made(rng, *, questions=4, layers=2, **settings):
    texts = tuple((GERMAN, ENGLISH, SHORT, FRENCH) for _ in range(questions))
    return made_grid(rng, questions=questions, layers=layers, distinct=4, texts=texts, **settings)


def placed(grid, cells, target):
    """The grid with these places in the texts."""
    return replace(
        grid,
        cells=replace(grid.cells, text=np.array(cells, dtype=np.int32)),
        target=replace(grid.target, text=np.array(target, dtype=np.int32)),
    )


def test_shares_by_hand():
    grid = made(np.random.default_rng(0), questions=2)
    # German, German / English, short: 2 of 3. Short everywhere but one French: 0 of 1.
    grid = placed(grid, [[[0, 0], [1, 2]], [[2, 2], [2, 3]]], [0, 2])
    found = {
        name: own["de"].value for name, own in measure_consistency({"de": grid}, resampling(grid)).items()
    }
    assert found["consistency"] == 2 / 4
    assert found["told"] == 4 / 8
    assert (found["original"], found["original_told"]) == (1.0, 0.5)
    assert found["difference"] == pytest.approx(2 / 3 - 1)  # of the first question alone
    assert np.allclose(found["consistency_by_source_layer"], [1.0, 0.0])
    assert np.allclose(found["consistency_by_target_layer"], [1 / 2, 1 / 2])
    assert np.allclose(found["consistency_by_pair"], [[1, 1], [0, 0]])


@pytest.mark.parametrize("seed", range(3))
def test_shares_against_loops(seed):
    grid = made(np.random.default_rng(seed), questions=6, layers=3)
    found = measure_consistency({"de": grid}, resampling(grid))
    said = []
    for texts, cells in zip(grid.texts, grid.cells.text, strict=True):
        for (i, j), place in np.ndenumerate(cells):
            answer = language_consistency(texts[place], "de")
            said += [] if answer is None else [(i, j, answer)]
    assert found["consistency"]["de"].value == pytest.approx(np.mean([answer for *_, answer in said]))
    assert found["told"]["de"].value == pytest.approx(len(said) / 54)
    for layer in range(3):
        own = [answer for i, _, answer in said if i == layer]
        assert found["consistency_by_source_layer"]["de"].value[layer] == pytest.approx(np.mean(own))
        own = [answer for _, j, answer in said if j == layer]
        assert found["consistency_by_target_layer"]["de"].value[layer] == pytest.approx(np.mean(own))


def test_the_language_that_was_asked_in_decides():
    grid = replace(
        placed(made(np.random.default_rng(0), questions=1), [[[0, 1], [1, 1]]], [1]), asked_in="en"
    )
    own = consistency(grid)
    assert own.cells.tolist() == [[[0.0, 1.0], [1.0, 1.0]]]
    assert own.target.tolist() == [1.0]


def test_each_text_is_looked_at_once(monkeypatch):
    looked = []
    monkeypatch.setattr(module, "language_consistency", lambda text, _: looked.append(text))
    consistency(made(np.random.default_rng(0)))
    assert sorted(looked) == sorted({GERMAN, ENGLISH, FRENCH, SHORT})


def test_a_language_that_cannot_be_told_is_left_out_of_the_mean():
    rng = np.random.default_rng(1)
    grids = {language: made(rng, language=language) for language in ("de", "qu")}
    found = measure_consistency(grids, resampling(*grids.values()))
    for name in ("consistency", "original", "difference"):
        assert np.isnan(found[name]["qu"].value)
        assert found[name][MEAN].value == pytest.approx(float(found[name]["de"].value))
    assert found["told"]["qu"].value == 0
