import numpy as np
import pytest

from cctuning.analysis.selectors.verdicts import verdicts
from cctuning.stats.estimates import MEAN, POOLED, Resampling

NAMES = ("original", "fixed_pair", "vote")


def scores_of(sizes=(60, 60, 60)):
    """A question is easy or hard in all languages at once."""
    rng = np.random.default_rng(0)
    easy = 2 * rng.normal(size=max(sizes))
    return {
        language: {
            name: (easy[:size] + rng.normal(size=size) > 0.3 * number).astype(float)
            for number, name in enumerate(NAMES)
        }
        for language, size in zip(("de", "fr", "sw"), sizes, strict=True)
    }


def verdict_of(name, scores, pairs=None, *, parallel=True):
    ids = {language: [str(id) for id in range(len(own["vote"]))] for language, own in scores.items()}
    random = np.random.default_rng(2)
    return verdicts(
        name, scores, Resampling(ids, parallel=parallel, random=random, resamples=4000), pairs or {}
    )


def test_accuracies_and_differences_are_means_over_questions_and_then_languages():
    scores = scores_of(sizes=(60, 40, 20))
    found = verdict_of("vote", scores, {MEAN: 7, "de": 3})
    assert set(found) == {"de", "fr", "sw", MEAN, POOLED}
    for language, own in scores.items():
        assert found[language].accuracy.value == pytest.approx(own["vote"].mean())
        expected = own["vote"].mean() - own["original"].mean()
        assert found[language].over_original.value == pytest.approx(expected)
        expected = own["vote"].mean() - own["fixed_pair"].mean()
        assert found[language].over_fixed_pair.value == pytest.approx(expected)
    expected = np.mean([own["vote"].mean() for own in scores.values()])
    assert found[MEAN].accuracy.value == pytest.approx(expected)
    expected = np.concatenate([own["vote"] - own["original"] for own in scores.values()]).mean()
    assert found[POOLED].over_original.value == pytest.approx(expected)
    assert (found[MEAN].pairs, found["de"].pairs, found["fr"].pairs) == (7, 3, None)


def test_intervals_draw_a_question_for_all_languages_and_selectors_at_once():
    scores = scores_of()
    table = np.array([[own[name] for name in NAMES] for own in scores.values()])
    rng = np.random.default_rng(1)
    drawn = np.array([table[:, :, rng.integers(60, size=60)].mean(axis=(0, 2)) for _ in range(4000)])
    found = verdict_of("vote", scores)[MEAN]
    expected = np.quantile(drawn[:, 2], [0.025, 0.975])
    assert found.accuracy.interval == pytest.approx(expected, abs=0.012)
    expected = np.quantile(drawn[:, 2] - drawn[:, 0], [0.025, 0.975])
    assert found.over_original.interval == pytest.approx(expected, abs=0.012)


def test_clustered_intervals_are_wider_and_paired_ones_narrower():
    scores = scores_of()
    joint, apart = (verdict_of("vote", scores, parallel=parallel)[MEAN] for parallel in (True, False))

    def width(score):
        return score.interval.high - score.interval.low

    assert width(joint.accuracy) > 1.3 * width(apart.accuracy)
    assert width(joint.over_original) < 0.8 * width(joint.accuracy)


def test_where_nothing_differs_there_is_still_doubt():
    scores = scores_of()
    for own in scores.values():
        own["vote"] = own["original"]
    low, high = verdict_of("vote", scores)["de"].over_original.interval
    assert -0.1 < low < 0 < high < 0.1


def test_baselines_are_not_compared_with_themselves():
    scores = scores_of()
    assert verdict_of("original", scores)["de"].over_original is None
    assert verdict_of("original", scores)["de"].over_fixed_pair is not None
    assert verdict_of("fixed_pair", scores)[MEAN].over_fixed_pair is None
