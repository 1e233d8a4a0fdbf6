"""Comparisons against differences by hand, paired resampling in a loop, and McNemar's test by counting."""

import csv
import io
import json
import random
import statistics

import numpy as np
import pytest
from lm_eval.api.metrics import mean_stderr
from matplotlib import image

from cctuning.evaluation.comparison.compare import AVERAGE, compare
from cctuning.evaluation.comparison.evaluations import name_evaluations, read_evaluation
from cctuning.evaluation.comparison.figures import plot_comparison
from cctuning.evaluation.comparison.tables import csv_text, details_table, markdown_text, overview_table
from cctuning.stats.significance import holm, mcnemar_p
from tests.samples import sample, samples, write_evaluation
from tests.screen import printed

MAIN = "accuracy,paper"
TASKS = ("xnli", "xlsum")


def made(level, seed):
    """Two benchmarks: one with the same questions in both languages, one with other questions in each."""
    return samples("xnli", level=level, seed=seed, count=120) | samples(
        "xlsum", level=level, seed=seed, count=30
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    levels = {"sft": 0.45, "cc": 0.6, "other": 0.5}
    return [
        write_evaluation(folder / name, made(level, seed), model=f"outputs/{name}/monolingual")
        for seed, (name, level) in enumerate(levels.items())
    ]


@pytest.fixture(scope="module")
def evaluations(folders):
    return [read_evaluation(folder) for folder in folders]


@pytest.fixture(scope="module")
def comparison(evaluations):
    return compare(evaluations, ["sft", "cc", "other"], resamples=4000)


def found(comparison, benchmark, language, name, metric=None):
    [score] = [
        score
        for score in comparison.scores
        if (score.benchmark, score.language, score.name) == (benchmark, language, name)
        and (score.is_main if metric is None else score.metric == metric)
    ]
    return score


def pairs(evaluations, task, metric=MAIN):
    base, own = (evaluations[number].tasks[task].scores[metric] for number in (0, 1))
    return [(base[id], own[id]) for id in base]


def test_differences_are_those_of_the_means(evaluations, comparison):
    for language in ("en", "sw"):
        both = pairs(evaluations, f"xnli_{language}")
        score = found(comparison, "xnli", language, "cc")
        assert score.score == pytest.approx(statistics.fmean(own for _, own in both))
        assert score.difference.value == pytest.approx(statistics.fmean(own - base for base, own in both))
    mean = found(comparison, "xnli", None, "cc").difference.value
    each = [found(comparison, "xnli", language, "cc").difference.value for language in ("en", "sw")]
    assert mean == pytest.approx(statistics.fmean(each))
    benchmarks = [found(comparison, name, None, "cc").difference.value for name in TASKS]
    assert found(comparison, AVERAGE, None, "cc").difference.value == pytest.approx(
        statistics.fmean(benchmarks)
    )
    assert all(found(comparison, "xnli", language, "sft").difference is None for language in ("en", None))


def test_intervals_are_those_of_pairs_drawn_one_at_a_time(evaluations, comparison):
    both, draw = pairs(evaluations, "xnli_en"), random.Random(5)
    drawn = [
        statistics.fmean(own - base for base, own in draw.choices(both, k=len(both))) for _ in range(4000)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    difference = found(comparison, "xnli", "en", "cc").difference
    assert difference.interval == pytest.approx((low, high), abs=0.012)
    assert difference.p == pytest.approx(2 * np.mean(np.array(drawn) <= 0), abs=0.01)


def test_the_interval_of_a_mean_draws_questions_for_all_languages(evaluations, comparison):
    first, second = pairs(evaluations, "xnli_en"), pairs(evaluations, "xnli_sw")
    jointly = [(b - a + d - c) / 2 for (a, b), (c, d) in zip(first, second, strict=True)]
    low, high = found(comparison, "xnli", None, "cc").difference.interval
    assert (high - low) / 2 == pytest.approx(1.96 * mean_stderr(jointly), rel=0.08)


def test_mcnemar_counts_the_questions_that_one_of_both_got_right(evaluations, comparison):
    both = pairs(evaluations, "xnli_sw")
    difference = found(comparison, "xnli", "sw", "cc").difference
    assert difference.only_baseline == both.count((1.0, 0.0))
    assert difference.only_this == both.count((0.0, 1.0))
    assert difference.mcnemar_p == mcnemar_p(both.count((1.0, 0.0)), both.count((0.0, 1.0)))


def test_mcnemar_is_for_right_and_wrong_in_one_language(comparison):
    assert found(comparison, "xnli", "en", "cc", "f1,strict").difference.mcnemar_p is None
    assert found(comparison, "xnli", None, "cc").difference.mcnemar_p is None


def test_holm_corrects_over_all_languages_and_benchmarks_of_one_model(comparison):
    own = [s for s in comparison.scores if s.name == "cc" and s.is_main and s.language is not None]
    assert len(own) == 4
    p_values = [s.difference.p if s.difference.mcnemar_p is None else s.difference.mcnemar_p for s in own]
    assert [s.difference.p_holm for s in own] == pytest.approx(holm(p_values))
    means = [s for s in comparison.scores if s.name == "cc" and s.is_main and s.language is None]
    assert [s.difference.p_holm for s in means] == pytest.approx(holm([s.difference.p for s in means]))


def test_stars_are_levels_of_the_corrected_p(comparison):
    for score in comparison.scores:
        if score.difference:
            p = score.difference.p_holm
            assert len(score.difference.stars) == (p < 0.05) + (p < 0.01) + (p < 0.001)
    assert {score.difference.stars for score in comparison.scores if score.difference} > {""}


def test_a_model_compared_with_its_equal(folders, evaluations, tmp_path):
    equal = write_evaluation(tmp_path / "equal", made(0.45, 0))
    result = compare([evaluations[0], read_evaluation(equal)], ["a", "b"], resamples=1000)
    for score in result.scores:
        if score.name == "b":
            assert (score.difference.value, score.difference.p_holm, score.difference.stars) == (0, 1, "")
            low, high = score.difference.interval
            assert -0.25 < low < 0 < high == pytest.approx(-low)


def test_the_order_of_other_models_does_not_matter(evaluations, comparison):
    swapped = compare([evaluations[n] for n in (0, 2, 1)], ["sft", "other", "cc"], resamples=4000)
    for name in ("cc", "other"):
        assert found(swapped, "xlsum", None, name) == found(comparison, "xlsum", None, name)


# --- What is compared ---------------------------------------------------------------------------------------


def evaluation(folder, rows, **config):
    return read_evaluation(write_evaluation(folder, rows, **config))


def test_questions_that_not_all_were_asked(evaluations, tmp_path):
    less = made(0.6, 1)
    less["xnli", "sw"] = less["xnli", "sw"][3:]
    both = [evaluations[0], evaluation(tmp_path / "less", less)]
    with pytest.raises(
        ValueError, match=r"xnli_sw: .*\(3 of sft: 0, 1, 2\): common_only=true compares the 117"
    ):
        compare(both, ["sft", "less"], resamples=100)
    result = compare(both, ["sft", "less"], common_only=True, resamples=100)
    assert (
        found(result, "xnli", "sw", "sft").questions == found(result, "xnli", "sw", "less").questions == 117
    )
    assert found(result, "xnli", "en", "sft").questions == 120
    base = [score for id, score in evaluations[0].tasks["xnli_sw"].scores[MAIN].items() if id > 2]
    assert found(result, "xnli", "sw", "sft").score == pytest.approx(statistics.fmean(base))
    assert any("the 117 that all were asked are compared" in warning for warning in result.warnings)


def test_no_question_in_common(tmp_path):
    first, second = ([sample("xnli", "en", id, {MAIN: 1.0})] for id in (1, 2))
    both = [
        evaluation(tmp_path / "a", {("xnli", "en"): first}),
        evaluation(tmp_path / "b", {("xnli", "en"): second}),
    ]
    with pytest.raises(ValueError, match="no question is common to all"):
        compare(both, ["a", "b"], common_only=True)


def test_tasks_that_not_all_have(evaluations, tmp_path):
    alone = evaluation(
        tmp_path / "alone", samples("xnli", ("en",), count=120) | samples("mkqa", ("de",), count=5)
    )
    result = compare([evaluations[0], alone], ["sft", "alone"], resamples=100)
    assert {(score.benchmark, score.language) for score in result.scores} == {("xnli", "en"), ("xnli", None)}
    assert "not compared, because not all have it: xnli_sw, xlsum_en, xlsum_sw of sft" in result.warnings
    assert "not compared, because not all have it: mkqa_de of alone" in result.warnings


def test_no_task_in_common(evaluations, tmp_path):
    other = evaluation(tmp_path / "other", samples("mkqa", ("de",), count=5))
    with pytest.raises(ValueError, match=r"no task in common \(sft: xnli_en, .*; other: mkqa_de\)"):
        compare([evaluations[0], other], ["sft", "other"])


def test_one_folder_and_one_twice(evaluations):
    with pytest.raises(ValueError, match="needs two result folders or more, not 1"):
        compare(evaluations[:1], ["sft"])
    with pytest.raises(ValueError, match="sft is there twice"):
        compare([evaluations[0], evaluations[0]], ["a", "b"])


def test_what_is_unfair_is_named(evaluations, tmp_path):
    rows = made(0.6, 1)
    rows["xnli", "sw"][7]["doc"]["prompt"] += "?"
    rows["xnli", "sw"][9]["target"] = ["2"]
    other = evaluation(tmp_path / "other", rows, max_new_tokens=20, prompting="cot", limit=120)
    warnings = compare([evaluations[0], other], ["sft", "other"], resamples=100).warnings
    assert warnings == [
        "prompting is cot in other, and original in sft",
        "max_new_tokens is 20 in other, and 40 in sft",
        "limit is 120 in other, and None in sft",
        "xnli_sw: 2 of 120 questions differ in text or gold answer between sft and other: 7, 9",
    ]


def test_languages_of_very_few_questions_are_named(tmp_path):
    def opinions(seed):
        made = samples("globalopinionqa", ("en", "fr", "uk"), count=40, seed=seed)
        made["globalopinionqa", "uk"] = made["globalopinionqa", "uk"][:1]
        return made | samples("xnli", count=3, seed=seed)  # parallel: three questions for all

    both = [read_evaluation(write_evaluation(tmp_path / str(seed), opinions(seed))) for seed in (1, 2)]
    (warning,) = compare(both, ["a", "b"], resamples=1000).warnings
    assert "GlobalOpinionQA" in warning and "fewer than 10 questions (uk 1)" in warning


def test_a_small_sample_of_every_language_is_compared_without_a_word(tmp_path):
    both = [
        read_evaluation(
            write_evaluation(tmp_path / str(seed), samples("globalopinionqa", count=4, seed=seed))
        )
        for seed in (1, 2)
    ]
    assert compare(both, ["a", "b"], resamples=1000).warnings == []


def test_models_on_the_same_terms_are_compared_without_a_word(comparison):
    assert comparison.warnings == []


def test_scores_that_only_some_samples_have_are_compared_where_all_do(tmp_path):
    key = "language_consistency,none"
    values = [[1.0, None, 1.0, 0.0], [0.0, 1.0, None, 1.0]]
    both = [
        evaluation(
            tmp_path / str(number),
            {
                ("mkqa", "de"): [
                    sample("mkqa", "de", id, {MAIN: 1.0, key: value}) for id, value in enumerate(own)
                ]
            },
        )
        for number, own in enumerate(values)
    ]
    score = found(compare(both, ["a", "b"], resamples=100), "mkqa", "de", "b", key)
    assert (score.questions, score.score, score.difference.value) == (2, 0.5, 0)


# --- Names --------------------------------------------------------------------------------------------------


def named(tmp_path, *configs):
    made = samples("xnli", ("en",), count=2)
    return name_evaluations(
        [evaluation(tmp_path / f"r{number}", made, **config) for number, config in enumerate(configs)]
    )


def test_names_are_those_of_the_models_with_what_tells_them_apart(tmp_path):
    a, b = {"model": "outputs/a/monolingual"}, {"model": "org/b"}
    assert named(tmp_path, a, b) == ["a", "b"]
    assert named(tmp_path, {"model": "outputs/c/monolingual_500"}, b) == ["c", "b"]
    assert named(tmp_path, a, a | {"inference": "none"}) == ["a, monolingual", "a, none"]
    assert named(tmp_path, b, b | {"prompting": "cot"}) == ["b, monolingual, original", "b, monolingual, cot"]
    assert named(tmp_path, b, b) == ["r0", "r1"]


def test_given_names_are_one_each_and_different(evaluations):
    assert name_evaluations(evaluations, ["x", "y", "z"]) == ["x", "y", "z"]
    with pytest.raises(ValueError, match="names has 2 names, and results 3 folders"):
        name_evaluations(evaluations, ["x", "y"])
    with pytest.raises(ValueError, match="names holds 'x' twice"):
        name_evaluations(evaluations, ["x", "y", "x"])


# --- Tables and figures -------------------------------------------------------------------------------------


def test_screen_tables_hold_every_difference_within_their_width(comparison):
    for width in (40, 80, 160):
        text = printed(details_table(comparison, width=width), width=width)
        assert max(map(len, text.splitlines())) <= width and "…" not in text
        for score in comparison.scores:
            if score.difference and score.is_main and score.benchmark != AVERAGE:
                assert f"{100 * score.difference.value:+.1f}".replace("+0.0", "0.0") in text
    overview = printed(overview_table(comparison), width=80)
    mean = found(comparison, AVERAGE, None, "cc")
    assert f"{100 * mean.score:.1f}" in overview and "mean of 2" in overview


def test_the_metric_that_is_shown_can_be_chosen(comparison):
    assert {panel[0].metric for panel in comparison.panels()} == {MAIN, "rougeL,paper", "score,paper"}
    for metric in ("strict", "f1", "f1,strict"):
        assert [panel[0].metric for panel in comparison.panels(metric)] == ["f1,strict", "f1,strict"]
    assert "XNLI f1" in printed(overview_table(comparison, metric="strict"), width=80)
    with pytest.raises(
        ValueError, match=r"metric=f2,strict is none of the scores .*did you mean 'f1,strict'"
    ):
        comparison.panels("f2,strict")


def test_the_csv_and_the_json_hold_everything(comparison):
    lines = list(csv.DictReader(io.StringIO(csv_text(comparison))))
    assert len(lines) == len(comparison.scores) == 3 * (2 * 2 * 3 + 1)
    for line, score in zip(lines, comparison.scores, strict=True):
        assert (line["model"], float(line["score"])) == (score.name, score.score)
        assert line["difference"] == ("" if score.difference is None else str(score.difference.value))
        if score.difference:
            assert float(line["p_holm"]) == score.difference.p_holm
    content = json.loads(json.dumps(comparison.as_json(), allow_nan=False))
    assert content["names"] == ["sft", "cc", "other"]
    assert [score["score"] for score in content["scores"]] == [score.score for score in comparison.scores]


def test_the_markdown_has_a_row_per_model_and_every_test(comparison):
    text = markdown_text(comparison)
    mean = found(comparison, "xnli", None, "cc")
    low, high = mean.difference.interval
    cell = (
        f"{100 * mean.score:.1f} ({100 * mean.difference.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}])"
    )
    assert cell in text
    difference = found(comparison, "xnli", "sw", "cc").difference
    [line] = [line for line in text.splitlines() if line.startswith("| XNLI sw, cc |")]
    assert f"| {difference.only_baseline} | {difference.only_this} | {difference.mcnemar_p:.2g} |" in line
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows[:5]}) == 1


@pytest.mark.renders
@pytest.mark.parametrize(("benchmarks", "models"), [(1, 2), (2, 4), (1, 8), (3, 5)])
def test_figures_of_any_shape(tmp_path, benchmarks, models):
    names = ["xnli", "xlsum", "mkqa"][:benchmarks]
    evaluations = [
        evaluation(
            tmp_path / str(number),
            {
                task: rows
                for name in names
                for task, rows in samples(name, count=6, seed=number, level=0.3 + number / 20).items()
            },
        )
        for number in range(models)
    ]
    result = compare(evaluations, [f"model {number}" for number in range(models)], resamples=50)
    plot_comparison(result, [tmp_path / "a.png", tmp_path / "a.svg"])
    pixels = image.imread(tmp_path / "a.png")
    assert pixels.std() > 0.01
    panels = benchmarks + (benchmarks > 1)
    bar = models - 1 > 3  # of the map's colours
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").count('id="axes_') == panels + bar


@pytest.mark.renders
def test_a_figure_of_equal_models(tmp_path):
    made = samples("xnli", count=3)
    equal = [evaluation(tmp_path / str(number), made) for number in range(6)]
    result = compare(equal, list("abcdef"), resamples=50)
    plot_comparison(result, [tmp_path / "a.png"])
    assert (tmp_path / "a.png").stat().st_size > 10_000
