import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from cctuning.analysis.selectors import SELECTORS, judge_pilot, judge_unseen
from cctuning.analysis.selectors.references import REFERENCES
from tests.analysis.made import made_applied, made_grid
from tests.analysis.selectors.planted import grid_of, linear_grid, null_grid

RESAMPLES = 500


def by_name(verdicts):
    return {verdict.name: verdict for verdict in verdicts}


@pytest.fixture(scope="module")
def grids():
    rng = np.random.default_rng(0)
    return {language: null_grid(rng, questions=20, layers=3, language=language) for language in ("de", "fr")}


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(1)
    return {language: rng.normal(size=(20, 8)) for language in ("de", "fr")}


@pytest.fixture(scope="module")
def judged(grids, features):
    return judge_pilot(grids, features, resamples=RESAMPLES)


def test_all_selectors_and_references_are_judged_in_every_language_and_over_all(judged):
    names = [*REFERENCES, *SELECTORS]
    assert [verdict.name for verdict in judged.mean] == names
    assert [verdict.name for verdict in judged.pooled] == names
    assert {language: [verdict.name for verdict in own] for language, own in judged.languages.items()} == {
        "de": names,
        "fr": names,
    }
    assert (judged.benchmark, judged.sublayer, judged.unseen) == ("xnli", "ffn", False)
    assert judged.questions == {"de": 20, "fr": 20}
    assert judged.left_out == {}
    assert judged.candidates == {"de": 9, "fr": 9}


def test_references_are_those_of_the_grids(judged, grids):
    for language, grid in grids.items():
        found = by_name(judged.languages[language])
        assert found["original"].accuracy.value == pytest.approx(grid.target.correct.mean())
        assert found["random_pair"].accuracy.value == pytest.approx(grid.cells.correct.mean())
        assert found["upper_bound"].accuracy.value == grid.cells.correct.any(axis=(1, 2)).mean() == 1
        assert found["original"].pairs is None


def test_the_fixed_pair_is_not_chosen_by_what_it_is_judged_by(judged, grids):
    best = np.mean([grid.cells.correct.mean(axis=0).max() for grid in grids.values()])
    assert by_name(judged.mean)["fixed_pair"].accuracy.value < best - 0.02


def test_a_selector_without_training_is_right_where_its_cells_are(judged, grids):
    for language, grid in grids.items():
        places = grid.cells.log_probability.reshape(20, -1).argmax(axis=1)
        right = grid.cells.correct.reshape(20, -1)[np.arange(20), places]
        verdict = by_name(judged.languages[language])["likelihood"]
        assert verdict.accuracy.value == pytest.approx(right.mean())
        assert verdict.pairs == len(set(places.tolist()))


def test_a_judgement_is_the_same_again_and_can_be_written_as_json(judged, grids, features):
    assert json.loads(json.dumps(asdict(judged)))["mean"][0]["accuracy"]["interval"]
    assert judge_pilot(grids, features, resamples=RESAMPLES) == judged


def test_a_language_is_judged_the_same_beside_others_where_nothing_is_learnt(judged, grids):
    alone = by_name(judge_pilot({"fr": grids["fr"]}, resamples=RESAMPLES).languages["fr"])
    beside = by_name(judged.languages["fr"])
    assert alone["vote"].accuracy.value == beside["vote"].accuracy.value
    assert alone["fixed_pair"].accuracy.value == beside["fixed_pair"].accuracy.value


def test_without_activations_and_options_their_selectors_are_left_out():
    grid = grid_of(np.zeros((4, 2, 2)), np.ones((4, 2, 2)))
    judged = judge_pilot({"de": grid}, resamples=RESAMPLES)
    assert set(judged.left_out) == {
        name for name, selector in SELECTORS.items() if selector.needs in ("options", "activations")
    }
    assert not set(judged.left_out) & set(by_name(judged.mean))


def test_what_is_planted_is_found_on_unseen_questions():
    grid, features = linear_grid(np.random.default_rng(3), questions=200, layers=5, size=10)
    pilot, unseen = rows(grid, range(120)), rows(grid, range(120, 200))
    judged = judge_unseen(
        {"de": pilot}, {"de": unseen}, {"de": features[:120]}, {"de": features[120:]}, resamples=RESAMPLES
    )
    assert judged.unseen and judged.questions == {"de": 80}
    probe = by_name(judged.mean)["probe_layers"]
    assert probe.over_fixed_pair.interval.low > 0.1
    assert probe.over_original.interval.low > 0.1
    assert probe.pairs > 1


def test_applied_strategies_are_chosen_from():
    rng = np.random.default_rng(4)
    grids = {language: made_grid(rng, questions=12, layers=3, language=language) for language in ("de", "fr")}
    pairs = {"overall": (1, 1), "source_last": (2, 0), "target_first": (0, 0)}
    unseen = {language: made_applied(rng, grid, pairs) for language, grid in grids.items()}
    judged = judge_unseen(grids, unseen, resamples=RESAMPLES)
    strategies = unseen["fr"].strategies.values()
    found = by_name(judged.languages["fr"])
    right = np.any([answers.correct for answers in strategies], axis=0)
    assert found["upper_bound"].accuracy.value == pytest.approx(right.mean())
    assert 1 <= found["vote"].pairs <= 3
    assert judged.candidates == {"de": 3, "fr": 3} and judged.candidates_text == "3"
    same = {"overall": (2, 0), "source_last": (2, 0), "target_first": (0, 0)}
    unseen["fr"] = made_applied(rng, grids["fr"], same)
    assert judge_unseen(grids, unseen, resamples=20).candidates_text == "2 to 3"


def test_a_mean_over_pairs_that_is_the_same_everywhere_has_no_interval():
    """No pair answers any question: for one answer that is a vote, for the mean over pairs it is not."""
    grid = made_grid(np.random.default_rng(0), questions=4, layers=2)
    wrong = replace(grid.cells, correct=np.zeros_like(grid.cells.correct))
    target = replace(grid.target, correct=np.zeros_like(grid.target.correct))
    judged = judge_pilot({"de": replace(grid, cells=wrong, target=target)}, resamples=RESAMPLES)
    found = by_name(judged.mean)
    assert found["random_pair"].accuracy.interval is None
    assert found["random_pair"].over_fixed_pair.interval is None
    assert found["upper_bound"].accuracy.interval == found["vote"].accuracy.interval
    assert found["vote"].accuracy.interval.high == pytest.approx(1 - 0.025**0.25)  # Clopper and Pearson
    assert json.loads(json.dumps(asdict(judged), allow_nan=False))


def test_unseen_questions_without_a_pilot_are_refused(grids):
    with pytest.raises(ValueError, match="xnli: sw has unseen questions, but no pilot to learn from"):
        judge_unseen({"de": grids["de"]}, {"sw": grids["fr"]})


def test_ids_of_unseen_questions_may_be_those_of_other_pilot_questions(grids, judged):
    unseen = judge_unseen(
        {"de": grids["de"]}, {"de": replace(grids["fr"], language="de")}, resamples=RESAMPLES
    )
    vote = by_name(unseen.languages["de"])["vote"]
    assert vote.accuracy.value == by_name(judged.languages["fr"])["vote"].accuracy.value


def test_a_single_question_cannot_be_judged():
    with pytest.raises(ValueError, match="xnli: pair selectors are judged on two questions or more, not 1"):
        judge_pilot({"de": grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))})


def rows(grid, numbers):
    def some(answers):
        return replace(
            answers, **{k: None if v is None else v[list(numbers)] for k, v in vars(answers).items()}
        )

    return replace(
        grid,
        questions=tuple(grid.questions[number] for number in numbers),
        texts=tuple(grid.texts[number] for number in numbers),
        cells=some(grid.cells),
        target=some(grid.target),
        source=some(grid.source),
    )
