"""The demo's table and figure, from made-up scores."""

import statistics

import pytest

from cctuning.generation.generate import Answer
from demo import figure, results
from demo.score import per_language

NAMES = list(results.ROWS)


def scores(value):
    accuracy = {name: value + 0.01 * place for place, name in enumerate(NAMES)}
    splits = {"held_out": accuracy, "trained": dict.fromkeys(NAMES, 1.0)}
    models = {}
    for model, inference in results.COLUMNS:
        models.setdefault(model, {"held-out questions put into English": value})[inference] = splits
    return {"base": {"facts in English": 1.0}, **models}


SEEDS = [scores(value) for value in (0.1, 0.4, 0.6)]


def test_cells_are_means_and_standard_deviations_over_seeds():
    cells = results.gather(SEEDS)
    cell = cells["held_out"]["ML-SFT"]["tr"]
    assert cell.mean == pytest.approx(statistics.mean([0.11, 0.41, 0.61]))
    assert cell.spread == pytest.approx(statistics.stdev([0.1, 0.4, 0.6]))
    assert cells["trained"]["last layer, bilingual"]["all"] == (1.0, 0.0)
    assert results.summarise([0.5]) == (0.5, None)


def test_the_page_has_a_line_for_each_model_and_inference():
    lines = results.markdown(results.gather(SEEDS), seeds=3).splitlines()
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in lines if line.startswith("|")}
    assert set(results.COLUMNS.values()) <= set(rows)
    assert rows["ML-SFT"][-2:] == ["**43 ± 25**", "100 ± 0 |"]


def test_the_background_tells_what_each_model_brings_along():
    lines = results.background(SEEDS)
    assert lines["base model, facts in English"] == "100 ± 0"
    assert lines["last layer, held-out questions put into English"] == "37 ± 25"


@pytest.mark.renders
def test_the_figure_is_drawn(tmp_path):
    figure.draw(results.gather(SEEDS), tmp_path / "results.png", seeds=3)
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_an_answer_counts_only_where_it_is_exact():
    rows = [{"language": name, "output": "b"} for name in ("sw", "sw", "tr")]
    answers = [Answer(text, connected=False, layer=None) for text in ("b", "B", "b")]
    assert per_language(answers, rows) == {"sw": 0.5, "tr": 1.0, "all": pytest.approx(2 / 3)}
