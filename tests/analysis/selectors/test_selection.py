"""Every selector learns nothing from what it is judged by, and is chance where there is nothing to learn."""

from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.selectors.answers import labelled_grid
from cctuning.analysis.selectors.folds import folds
from cctuning.analysis.selectors.registry import SELECTORS
from cctuning.analysis.selectors.selection import Split, cross_validation, select_pairs, unable
from tests.analysis.selectors.planted import grid_of, null_grid

EMPTY = grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))


def pilot_of(seed, *, questions=24, layers=4):
    rng = np.random.default_rng(seed)
    return {
        language: labelled_grid(
            null_grid(rng, questions=questions, layers=layers, language=language),
            rng.normal(size=(questions, 12)),
        )
        for language in ("de", "fr", "sw")
    }


def splits_of(pilot, count=4):
    ids = [id for labelled in pilot.values() for id in labelled.unlabelled.questions]
    return cross_validation(pilot, folds(ids, count, np.random.default_rng(0)))


def test_no_question_is_in_both_sides_of_a_split_in_whatever_language():
    pilot = pilot_of(0)
    splits = splits_of(pilot)
    judged = []
    for split in splits:
        sides = [
            {id for labelled in side.values() for id in labelled.unlabelled.questions}
            for side in (split.pilot, split.judged)
        ]
        assert not sides[0] & sides[1]
        assert len(sides[0] | sides[1]) == 24
        judged += [
            (language, id)
            for language, labelled in split.judged.items()
            for id in labelled.unlabelled.questions
        ]
    assert len(judged) == len(set(judged)) == 3 * 24


def test_a_language_whose_questions_are_all_left_out_is_not_learnt_from():
    pilot = pilot_of(0) | {
        "uk": labelled_grid(grid_of(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), language="uk"))
    }
    splits = splits_of(pilot)
    assert sorted("uk" in split.pilot for split in splits) == [False, True, True, True]
    assert all(("uk" in split.pilot) != ("uk" in split.judged) for split in splits)


@pytest.mark.parametrize("name", SELECTORS)
def test_choices_are_the_same_again_whatever_is_right_of_the_judged_questions(name):
    pilot = pilot_of(1)
    chosen = select_pairs(SELECTORS[name], splits_of(pilot))
    for number, split in enumerate(splits_of(pilot)):
        for language, labelled in split.judged.items():
            rows = np.isin(pilot[language].unlabelled.questions, labelled.unlabelled.questions)
            turned = {
                other: replace(own, correct=np.where(rows[:, None], ~own.correct, own.correct))
                for other, own in pilot.items()
            }
            again = select_pairs(SELECTORS[name], [splits_of(turned)[number]])
            assert again[language] == {id: chosen[language][id] for id in labelled.unlabelled.questions}
            break


@pytest.mark.parametrize("name", SELECTORS)
def test_where_nothing_tells_right_from_wrong_no_selector_is_better_or_worse_than_chance(name):
    right = []
    for seed in range(10, 16):
        pilot = pilot_of(seed, questions=40, layers=3)
        chosen = select_pairs(SELECTORS[name], splits_of(pilot, 3))
        right += [
            labelled.correct[row, chosen[language][id]]
            for language, labelled in pilot.items()
            for row, id in enumerate(labelled.unlabelled.questions)
        ]
    # 720 draws with a chance of 1/3: the standard error is 0.0176.
    assert np.mean(right) == pytest.approx(1 / 3, abs=0.065)


def test_selectors_that_lack_something_are_named():
    with_all, without = pilot_of(0), {"de": labelled_grid(EMPTY)}
    assert unable([Split(with_all, with_all)], SELECTORS) == {}
    missing = unable([Split(with_all, without)], SELECTORS)
    assert missing["probe_layers"] == "needs the activations of the questions"
    assert missing["vote_options"] == "needs questions whose options were scored"
    assert {SELECTORS[name].needs for name in missing} == {"activations", "options"}
    assert {SELECTORS[name].needs for name in SELECTORS.keys() - missing.keys()} == {None, "plain"}


def test_without_the_plain_models_log_probabilities_their_selectors_are_left_out():
    plain = np.full((1, 2, 2), np.nan)
    labelled = {"de": labelled_grid(grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), plain=plain))}
    missing = unable([Split(labelled, labelled)], SELECTORS)
    assert missing["combined"] == "needs the answers' log-probabilities under the model as it is"
    assert {name for name in SELECTORS if SELECTORS[name].needs == "plain"} <= missing.keys()


def test_questions_with_a_single_option_do_not_do():
    options = np.full((1, 2, 2, 3), np.nan)
    options[..., 0] = -1.0
    labelled = {"de": labelled_grid(grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), options=options))}
    assert "option_margin" in unable([Split(labelled, labelled)], SELECTORS)
