"""Every chooser learns nothing from what it is judged by, and is chance where there is nothing to learn."""

from dataclasses import replace

import numpy as np
import pytest

from cctuning.analysis.choosers.asked import known_grid
from cctuning.analysis.choosers.choosing import Split, choose, cross_validation, unable
from cctuning.analysis.choosers.folds import folds
from cctuning.analysis.choosers.registry import CHOOSERS
from tests.analysis.choosers.planted import grid_of, null_grid

EMPTY = grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))


def pilot_of(seed, *, questions=24, layers=4, languages=("de", "fr", "sw")):
    rng = np.random.default_rng(seed)
    return {
        language: known_grid(
            null_grid(rng, questions=questions, layers=layers, language=language),
            rng.normal(size=(questions, 12)),
        )
        for language in languages
    }


def splits_of(pilot, count=4):
    ids = [id for known in pilot.values() for id in known.asked.questions]
    return cross_validation(pilot, folds(ids, count, np.random.default_rng(0)))


def test_no_question_is_in_both_sides_of_a_split_in_whatever_language():
    pilot = pilot_of(0)
    splits = splits_of(pilot)
    judged = []
    for split in splits:
        sides = [
            {id for known in side.values() for id in known.asked.questions}
            for side in (split.pilot, split.judged)
        ]
        assert not sides[0] & sides[1]
        assert len(sides[0] | sides[1]) == 24
        judged += [(language, id) for language, known in split.judged.items() for id in known.asked.questions]
    assert len(judged) == len(set(judged)) == 3 * 24


def test_a_language_whose_questions_are_all_left_out_is_not_learnt_from():
    pilot = pilot_of(0) | {"uk": known_grid(grid_of(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), language="uk"))}
    splits = splits_of(pilot)
    assert sorted("uk" in split.pilot for split in splits) == [False, True, True, True]
    assert all(("uk" in split.pilot) != ("uk" in split.judged) for split in splits)


@pytest.mark.parametrize("name", CHOOSERS)
def test_choices_do_not_depend_on_what_is_right_of_the_judged_questions(name):
    pilot = pilot_of(1)
    chosen = choose(CHOOSERS[name], splits_of(pilot))
    for number, split in enumerate(splits_of(pilot)):
        for language, known in split.judged.items():
            rows = np.isin(pilot[language].asked.questions, known.asked.questions)
            turned = {
                other: replace(own, correct=np.where(rows[:, None], ~own.correct, own.correct))
                for other, own in pilot.items()
            }
            again = choose(CHOOSERS[name], [splits_of(turned)[number]])
            assert again[language] == {id: chosen[language][id] for id in known.asked.questions}
            break


@pytest.mark.parametrize("name", CHOOSERS)
def test_choices_are_the_same_again(name):
    first, second = (choose(CHOOSERS[name], splits_of(pilot_of(2))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", CHOOSERS)
def test_where_nothing_tells_right_from_wrong_no_chooser_is_better_or_worse_than_chance(name):
    right = []
    for seed in range(10, 16):
        pilot = pilot_of(seed, questions=40, layers=3)
        chosen = choose(CHOOSERS[name], splits_of(pilot, 3))
        right += [
            known.correct[row, chosen[language][id]]
            for language, known in pilot.items()
            for row, id in enumerate(known.asked.questions)
        ]
    # 720 draws with a chance of 1/3: the standard error is 0.0176.
    assert np.mean(right) == pytest.approx(1 / 3, abs=0.065)


def test_choosers_that_lack_something_are_named():
    with_all, without = pilot_of(0), {"de": known_grid(EMPTY)}
    assert unable([Split(with_all, with_all)], CHOOSERS) == {}
    missing = unable([Split(with_all, without)], CHOOSERS)
    assert missing["probe_layers"] == "needs the activations of the questions"
    assert missing["vote_options"] == "needs questions whose options were scored"
    assert {CHOOSERS[name].needs for name in missing} == {"activations", "options"}
    assert {CHOOSERS[name].needs for name in CHOOSERS.keys() - missing.keys()} == {None, "plain"}


def test_without_the_plain_models_log_probabilities_their_choosers_are_left_out():
    plain = np.full((1, 2, 2), np.nan)
    known = {"de": known_grid(grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), plain=plain))}
    missing = unable([Split(known, known)], CHOOSERS)
    assert missing["combined"] == "needs the answers' log-probabilities under the model as it is"
    assert {name for name in CHOOSERS if CHOOSERS[name].needs == "plain"} <= missing.keys()


def test_questions_with_a_single_option_do_not_do():
    options = np.full((1, 2, 2, 3), np.nan)
    options[..., 0] = -1.0
    known = {"de": known_grid(grid_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), options=options))}
    assert "option_margin" in unable([Split(known, known)], CHOOSERS)
