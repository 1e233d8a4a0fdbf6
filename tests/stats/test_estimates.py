import numpy as np
import pytest

from cctuning.evaluation.results.summary import estimates as evaluated
from cctuning.stats.bootstrap import interval, resampled_languages, unanimous_interval
from cctuning.stats.estimates import MEAN, POOLED, Resampling, spread

IDS = {"de": ["1", "2", "3", "4", "5"], "sw": ["2", "3", "5"], "qu": ["9", "1"]}


def resampling(ids=IDS, *, parallel=True, seed=0, resamples=4000):
    return Resampling(ids, parallel=parallel, random=np.random.default_rng(seed), resamples=resamples)


def drawn_scores(ids, shape=()):
    random = np.random.default_rng(1)
    return {language: random.random((len(own), *shape)) for language, own in ids.items()}


@pytest.mark.parametrize("parallel", [True, False])
def test_estimates_are_those_of_an_evaluation(parallel):
    scores = {"de": drawn_scores(IDS)["de"], "sw": np.array([0.0, 1.0, 0.0])}
    ids = {language: IDS[language] for language in scores}
    found = resampling(ids, parallel=parallel, resamples=20_000).estimate(scores)
    by_id = {language: dict(zip(ids[language], own, strict=True)) for language, own in scores.items()}
    drawn = resampled_languages(
        {language: {"score": own} for language, own in by_id.items()},
        parallel=parallel,
        random=np.random.default_rng(5),
        resamples=20_000,
    )
    expected = evaluated(
        by_id, {language: own["score"] for language, own in drawn.items()}, parallel=parallel
    )
    for language, estimate in expected.items():
        own = found[language or MEAN]
        assert own.value == pytest.approx(estimate.value)
        assert [own.low, own.high] == pytest.approx(list(estimate.interval), abs=0.02)
        assert own.questions == estimate.questions


@pytest.mark.parametrize("parallel", [True, False])
def test_pooled_counts_every_question_equally_and_mean_every_language(parallel):
    scores = drawn_scores(IDS, (2, 3))
    found = resampling(parallel=parallel).estimate(scores)
    every = np.concatenate(list(scores.values()))
    assert np.allclose(found[POOLED].value, every.mean(0))
    assert np.allclose(found[MEAN].value, np.mean([own.mean(0) for own in scores.values()], axis=0))
    assert (found[POOLED].low < found[POOLED].value).all()
    assert (found[POOLED].value < found[POOLED].high).all()


def test_columns_are_drawn_together_but_judged_by_themselves():
    scores = drawn_scores(IDS, (2, 3))
    all_at_once = resampling().estimate(scores)
    for place in np.ndindex(2, 3):
        alone = resampling().estimate({language: own[:, *place] for language, own in scores.items()})
        for language, estimate in alone.items():
            own = all_at_once[language]
            assert (own.value[place], own.low[place], own.high[place]) == pytest.approx(
                (float(estimate.value), float(estimate.low), float(estimate.high))
            )


def test_weights_make_a_mean_over_answers():
    sums = {"de": np.array([1.0, 0.0, 2.0, 0.0, 1.0])}
    counts = {"de": np.array([2, 0, 2, 1, 3])}
    own = resampling().estimate(sums, counts)["de"]
    assert own.value == 4 / 8
    assert own.questions == 4  # one has no answer
    random = np.random.default_rng(7)
    places = random.integers(5, size=(20_000, 5))
    with np.errstate(invalid="ignore"):
        ratios = sums["de"][places].sum(1) / counts["de"][places].sum(1)
    assert [own.low, own.high] == pytest.approx(list(interval(ratios)), abs=0.03)


def test_a_language_without_weight_is_left_out_of_the_mean():
    sums = {"de": np.ones(5), "sw": np.zeros(3), "qu": np.zeros(2)}
    counts = {"de": np.full(5, 2), "sw": np.full(3, 2), "qu": np.zeros(2)}
    found = resampling().estimate(sums, counts)
    assert np.isnan([found["qu"].value, found["qu"].low, found["qu"].high]).all()
    assert found["qu"].questions == 0
    assert found[MEAN].value == 0.25
    assert found[POOLED].value == 5 / 16


def test_scores_that_are_all_alike_are_not_certain():
    found = resampling().estimate({"de": np.ones(5), "sw": np.zeros(3)})
    assert (found["de"].low, found["de"].high) == pytest.approx(tuple(unanimous_interval(1.0, 5)))
    assert (found["sw"].low, found["sw"].high) == pytest.approx(tuple(unanimous_interval(0.0, 3)))
    assert found[MEAN].low < 0.5 < found[MEAN].high
    signed = resampling().estimate({"de": np.zeros(5)}, limits=(-1.0, 1.0))["de"]
    assert signed.low == -signed.high < 0


def test_means_over_several_answers_that_are_all_alike_have_no_interval():
    scores = {"de": np.stack([np.zeros(5), np.linspace(0, 1, 5)], 1), "sw": np.zeros((3, 2))}
    found = resampling().estimate(scores, limits=None)
    assert np.isnan(found["de"].low).tolist() == np.isnan(found["de"].high).tolist() == [True, False]
    assert found["de"].value.tolist() == [0, 0.5]
    assert np.isnan(found["sw"].low).all() and found["sw"].value.tolist() == [0, 0]
    # Together they are not alike where one language's are not.
    assert np.isnan(found[MEAN].high).tolist() == np.isnan(found[POOLED].high).tolist() == [True, False]
    assert 0 < found[MEAN].low[1] < found[MEAN].high[1] < 0.5


def test_descriptions_have_no_intervals():
    found = resampling().described({"de": np.array([1.0, 2.0]), "sw": np.array([3.0, np.nan])})
    assert found[MEAN].value.tolist() == [2.0, 2.0]
    assert np.isnan(found["de"].low).all()
    assert (found["sw"].questions, found[MEAN].questions) == (3, 5)


def test_the_spread_is_that_of_the_languages():
    found = resampling().estimate(
        {"de": np.full(5, 0.5), "sw": np.full(3, 0.25), "qu": np.zeros(2)},
        {"de": np.ones(5), "sw": np.ones(3), "qu": np.zeros(2)},
    )
    assert spread(found)[MEAN].value == np.std([0.5, 0.25])
    assert list(spread(found)) == [MEAN]


@pytest.mark.parametrize("parallel", [True, False])
def test_simultaneous_intervals_hold_together(parallel):
    """Of studies whose true means are 0 few have any of 40 intervals above it; by themselves most would."""
    found = {"together": 0, "by themselves": 0}
    for seed in range(40):
        random = np.random.default_rng(seed)
        scores = {language: random.normal(size=(30, 5, 8)) for language in ("de", "sw")}
        scores["sw"][3, 0, 0] = np.nan
        ids = {language: [*map(str, range(30))] for language in scores}
        resampling = Resampling(ids, parallel=parallel, random=np.random.default_rng(0), resamples=500)
        estimate, own = resampling.simultaneous(scores), resampling.mean_of_known(scores)[MEAN]
        assert np.allclose(estimate.value, own.value) and estimate.questions == own.questions
        assert np.allclose(estimate.high - estimate.value, estimate.value - estimate.low)
        found["together"] += bool((estimate.low > 0).any())
        found["by themselves"] += bool((own.low > 0).any())
    assert found["together"] <= 5 and found["by themselves"] > 20


def test_simultaneous_intervals_of_scores_that_are_all_alike_are_not_there():
    scores = {"de": np.stack([np.ones(9), np.arange(9.0)], 1)}
    resampling = Resampling(
        {"de": [*map(str, range(9))]}, parallel=True, random=np.random.default_rng(0), resamples=200
    )
    estimate = resampling.simultaneous(scores)
    assert estimate.value.tolist() == [1.0, 4.0]
    assert np.isnan([estimate.low[0], estimate.high[0]]).all() and 0 < estimate.low[1] < 4
    assert np.isnan(resampling.simultaneous({"de": scores["de"][:, :1]}).low).all()
