import numpy as np
import pytest

from cctuning.analysis.choosers.verdicts import Verdicts

NAMES = ("original", "fixed_pair", "vote")


def scores_of(seed=0, questions=60, languages=("de", "fr", "sw"), shared=2.0):
    """A question is easy or hard in all languages at once."""
    rng = np.random.default_rng(seed)
    easy = shared * rng.normal(size=questions)
    return {
        language: {
            name: {
                str(id): float(score)
                for id, score in enumerate(easy + rng.normal(size=questions) > 0.3 * number)
            }
            for number, name in enumerate(NAMES)
        }
        for language in languages
    }


def verdicts_of(scores, parallel=True, benchmark="xnli"):
    return Verdicts(scores, benchmark=benchmark, parallel=parallel, seed=0, resamples=4000)


def test_accuracies_and_differences_are_means_over_questions_and_then_languages():
    scores = scores_of()
    found = verdicts_of(scores).of("vote", {None: 7, "de": 3})
    means = {
        language: {name: np.mean(list(own[name].values())) for name in NAMES}
        for language, own in scores.items()
    }
    assert set(found) == {None, "de", "fr", "sw"}
    for language, own in means.items():
        assert found[language].accuracy.value == pytest.approx(own["vote"])
        assert found[language].over_original.value == pytest.approx(own["vote"] - own["original"])
        assert found[language].over_fixed_pair.value == pytest.approx(own["vote"] - own["fixed_pair"])
    assert found[None].accuracy.value == pytest.approx(np.mean([own["vote"] for own in means.values()]))
    assert (found[None].pairs, found["de"].pairs, found["fr"].pairs) == (7, 3, None)


def test_intervals_draw_a_question_for_all_languages_and_choosers_at_once():
    scores = scores_of()
    table = np.array([[list(own[name].values()) for name in NAMES] for own in scores.values()])
    rng = np.random.default_rng(1)
    drawn = np.array([table[:, :, rng.integers(60, size=60)].mean(axis=(0, 2)) for _ in range(4000)])
    found = verdicts_of(scores).of("vote", {})[None]
    expected = np.quantile(drawn[:, 2], [0.025, 0.975])
    assert found.accuracy.interval == pytest.approx(expected, abs=0.012)
    expected = np.quantile(drawn[:, 2] - drawn[:, 0], [0.025, 0.975])
    assert found.over_original.interval == pytest.approx(expected, abs=0.012)


def test_clustered_intervals_are_wider_and_paired_ones_narrower():
    scores = scores_of()
    joint, apart = (verdicts_of(scores, parallel).of("vote", {})[None] for parallel in (True, False))

    def width(score):
        return score.interval.high - score.interval.low

    assert width(joint.accuracy) > 1.3 * width(apart.accuracy)
    assert width(joint.over_original) < 0.8 * width(joint.accuracy)


def test_baselines_are_not_compared_with_themselves():
    verdicts = verdicts_of(scores_of())
    assert verdicts.of("original", {})["de"].over_original is None
    assert verdicts.of("original", {})["de"].over_fixed_pair is not None
    assert verdicts.of("fixed_pair", {})[None].over_fixed_pair is None
