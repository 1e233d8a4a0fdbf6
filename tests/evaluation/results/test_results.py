"""Results against means by hand and lm-evaluation-harness's own reader; folders of every bad kind."""

import csv
import json
import shutil
import statistics

import numpy as np
import pytest
from lm_eval.api.metrics import mean_stderr
from lm_eval.utils import make_table
from matplotlib import image

from cctuning.evaluation.asking.sample_files import ResultsError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.results.figures import plot_scores
from cctuning.evaluation.results.folder import read_results, read_samples, write_results
from cctuning.evaluation.results.results import summarise
from cctuning.evaluation.results.score_rows import score_rows
from cctuning.evaluation.results.tables import markdown_text, screen_table
from tests.samples import CONFIG, sample, samples, write_evaluation, write_samples
from tests.screen import printed

MAIN = "accuracy,paper"


def scores(rows, metric=MAIN):
    return [row["scores"][metric] for row in rows]


@pytest.fixture(scope="module")
def made():
    return samples("xnli") | samples("xlsum", ("en", "sw", "vi"), count=15) | samples("mkqa", ("de",))


@pytest.fixture(scope="module")
def results(made):
    gone = {("xnli", "sw"): {"garbled": [100, 101], "too long": [101]}}
    return summarise(made, config=CONFIG, left_out=gone, resamples=2000)


def test_scores_are_means_with_the_harness_standard_errors(made, results):
    for language in ("en", "sw"):
        own = scores(made["xnli", language])
        task = results["results"][f"xnli_{language}"]
        assert task[MAIN] == pytest.approx(statistics.fmean(own))
        assert task["accuracy_stderr,paper"] == pytest.approx(mean_stderr(own))
        low, high = task["accuracy_ci95,paper"]
        assert low < task[MAIN] < high
        assert (high - low) / 2 == pytest.approx(1.96 * mean_stderr(own), rel=0.15)
        assert task["f1,strict"] == pytest.approx(
            statistics.fmean(scores(made["xnli", language], "f1,strict"))
        )


def test_a_benchmark_is_the_mean_of_its_languages_with_questions_drawn_jointly(made, results):
    english, swahili = scores(made["xnli", "en"]), scores(made["xnli", "sw"])
    group = results["groups"]["xnli"]
    assert group[MAIN] == pytest.approx((statistics.fmean(english) + statistics.fmean(swahili)) / 2)
    both = [(first + second) / 2 for first, second in zip(english, swahili, strict=True)]
    assert group["accuracy_stderr,paper"] == pytest.approx(mean_stderr(both))
    low, high = group["accuracy_ci95,paper"]
    assert (high - low) / 2 == pytest.approx(1.96 * mean_stderr(both), rel=0.15)


def test_languages_with_questions_of_their_own_err_independently(made, results):
    errors = [
        results["results"][f"xlsum_{language}"]["rougeL_stderr,paper"] for language in ("en", "sw", "vi")
    ]
    group = results["groups"]["xlsum"]["rougeL_stderr,paper"]
    assert group == pytest.approx(np.sqrt(np.sum(np.square(errors))) / 3)


def test_the_mean_of_the_benchmarks_counts_each_equally(results):
    means = [
        results["groups"]["xnli"][MAIN],
        results["groups"]["xlsum"]["rougeL,paper"],
        results["groups"]["mkqa"][MAIN],
    ]
    assert results["average"]["score,paper"] == pytest.approx(statistics.fmean(means))
    errors = [
        results["groups"][name][f"{metric}_stderr,paper"]
        for name, metric in (("xnli", "accuracy"), ("xlsum", "rougeL"), ("mkqa", "accuracy"))
    ]
    assert results["average"]["score_stderr,paper"] == pytest.approx(np.sqrt(np.sum(np.square(errors))) / 3)


def test_languages_that_differ_in_size_have_a_mean_over_questions_too(made, results):
    assert results["pooled"] == {}  # all of one size
    sizes = {"en": 30, "sw": 3}
    rows = {
        task: own for code, count in sizes.items() for task, own in samples("xlsum", (code,), count).items()
    }
    found = summarise(rows, config=CONFIG, resamples=50)
    metric = "rougeL,paper"
    english, swahili = scores(rows["xlsum", "en"], metric), scores(rows["xlsum", "sw"], metric)
    value = found["pooled"]["xlsum"][metric]
    assert value == pytest.approx(statistics.fmean(english + swahili))
    assert value != pytest.approx(found["groups"]["xlsum"][metric])
    assert f"with every question counted equally: XLSum {100 * value:.1f}" in markdown_text(found)
    assert "every question counted" not in markdown_text(results)


def test_one_benchmark_has_no_mean_of_benchmarks(made):
    assert summarise(samples("xnli"), config=CONFIG, resamples=50)["average"] == {}


def test_intervals_do_not_depend_on_what_else_is_evaluated(made, results):
    alone = summarise(samples("xnli"), config=CONFIG, resamples=2000)
    assert alone["results"]["xnli_sw"] == results["results"]["xnli_sw"]
    assert alone["groups"]["xnli"] == results["groups"]["xnli"]


def test_what_was_left_out_is_counted_once_and_listed_by_reason(results):
    assert results["n-samples"]["xnli_sw"] == {"original": 42, "effective": 40}
    assert results["n-samples"]["xnli_en"] == {"original": 40, "effective": 40}
    assert results["left_out"] == {"xnli_sw": {"garbled": [100, 101], "too long": [101]}}


def test_how_responses_came_about(results):
    facts = results["generation"]["xnli_sw"]
    assert facts == {
        "new_tokens": 5.0,
        "stopped": 0.75,
        "connected": 1.0,
        "layers": {"0": 14, "1": 13, "2": 13},
    }


def test_mixtures_have_no_layer():
    rows = [sample("xnli", "en", id, {MAIN: 1.0}, layer=None) for id in range(3)]
    assert summarise({("xnli", "en"): rows}, config=CONFIG)["generation"]["xnli_en"]["layers"] == {}


def test_a_score_that_a_sample_lacks_is_left_out_of_its_mean():
    rows = [
        sample("mkqa", "de", id, {MAIN: 1.0, "language_consistency,none": value})
        for id, value in enumerate([1.0, None, 0.0, 1.0])
    ]
    results = summarise({("mkqa", "de"): rows}, config=CONFIG, resamples=50)
    assert results["results"]["mkqa_de"]["language_consistency,none"] == pytest.approx(2 / 3)
    assert results["n-scored"]["mkqa_de"] == {MAIN: 4, "language_consistency,none": 3}
    assert "language consistency on 3 of 4 (MKQA)" in markdown_text(results)


def test_one_question_and_equal_scores_have_intervals_too():
    rows = [sample("xnli", "en", id, {MAIN: 0.0}) for id in range(80)]
    one = summarise({("xnli", "en"): rows[:1]}, config=CONFIG)["results"]["xnli_en"]
    assert (one["accuracy_stderr,paper"], one["accuracy_ci95,paper"]) == ("N/A", pytest.approx([0, 0.975]))
    many = summarise({("xnli", "en"): rows}, config=CONFIG)
    assert many["results"]["xnli_en"]["accuracy_ci95,paper"] == pytest.approx([0, 1 - 0.025 ** (1 / 80)])
    assert many["groups"]["xnli"]["accuracy_ci95,paper"] == pytest.approx([0, 1 - 0.025 ** (1 / 80)])


@pytest.mark.parametrize(
    ("benchmark", "metric", "count"), [("xnli", "accuracy", 20), ("xlsum", "rougeL", 40)]
)
def test_where_all_is_wrong_the_questions_of_parallel_languages_count_once(benchmark, metric, count):
    made = {
        (benchmark, language): [sample(benchmark, language, id, {f"{metric},paper": 0.0}) for id in range(20)]
        for language in ("en", "sw")
    }
    group = summarise(made, config=CONFIG, resamples=50)["groups"][benchmark]
    assert group[f"{metric}_ci95,paper"] == pytest.approx([0, 1 - 0.025 ** (1 / count)])


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({("xnli", "en"): []}, "xnli_en has no samples"),
        (
            {("xnli", "en"): [sample("xnli", "en", 3, {MAIN: 1.0})] * 2},
            "xnli_en holds the question 3 2 times",
        ),
        (
            {("xnli", "en"): [sample("xnli", "en", 3, {"f1,strict": 1.0})]},
            "no sample of xnli has the score accuracy",
        ),
        ({("xnly", "en"): [sample("xnli", "en", 3, {MAIN: 1.0})]}, "xnly"),
    ],
)
def test_samples_that_cannot_be_summed_up(made, message):
    with pytest.raises(ValueError, match=message):
        summarise(made, config=CONFIG)


# --- What is written ----------------------------------------------------------------------------------------


def test_the_harness_makes_its_own_tables_of_ours(results):
    tasks = make_table(results)
    assert f"{results['results']['xnli_sw'][MAIN]:.4f}" in tasks and "xnli_sw" in tasks
    assert f"{results['groups']['xlsum']['rougeL,paper']:.4f}" in make_table(results, "groups")


def test_a_folder_is_read_as_it_was_written(made, results, tmp_path):
    write_samples(tmp_path, made)
    write_results(tmp_path, results)
    assert read_results(tmp_path) == results
    assert dict(read_samples(tmp_path)) == made
    written = {path.name for path in tmp_path.iterdir() if not path.name.startswith("samples_")}
    assert written == {"results.json", "table.md", "table.csv", "scores.png", "scores.svg"}


def test_the_csv_holds_every_score(results, tmp_path):
    write_results(tmp_path, results)
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * (3 + 4 + 2)
    [line] = [
        row for row in lines if (row["benchmark"], row["metric"], row["language"]) == ("xnli", MAIN, "sw")
    ]
    task = results["results"]["xnli_sw"]
    assert [float(line[name]) for name in ("score", "stderr", "ci95_low", "ci95_high", "questions")] == [
        task[MAIN],
        task["accuracy_stderr,paper"],
        *task["accuracy_ci95,paper"],
        40,
    ]


def test_the_markdown_holds_scores_counts_and_settings(results, tmp_path):
    write_results(tmp_path, results)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    low, high = results["results"]["xnli_sw"]["accuracy_ci95,paper"]
    value = results["results"]["xnli_sw"][MAIN]
    assert f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in text
    assert "| xnli_sw | 40 | 2 | 5.0 | 75.0 | 100.0 | 0: 35 %, 1: 32 %, 2: 32 % |" in text
    assert "| max_new_tokens | 40 |" in text


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_the_screen_table_is_whole_at_any_width(width):
    languages = find_benchmark("globalopinionqa").languages
    made = samples("globalopinionqa", languages, count=4) | samples("xnli", languages[:10], count=4)
    results = summarise(made, config=CONFIG, resamples=50)
    lines = printed(screen_table(results, width=width), width=width).splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for row in score_rows(results):
        assert words.count(f"{100 * row.value:.1f}") > 0
        assert row.language is None or row.language in words
    assert "…" not in " ".join(lines)
    assert words.count("ar") == 2


def test_ten_languages_take_one_row_at_80_columns():
    languages = find_benchmark("xnli").languages
    results = summarise(samples("xnli", languages, count=4), config=CONFIG, resamples=50)
    lines = printed(screen_table(results, width=80), width=80).splitlines()
    assert any(line.split() == ["XNLI", "mean", *languages] for line in lines)


@pytest.mark.renders
@pytest.mark.parametrize("names", [["xnli"], ["xnli", "xquad", "mkqa"], ["xlsum", "globalopinionqa"]])
def test_figures_have_a_panel_per_benchmark(names, tmp_path):
    made = {task: rows for name in names for task, rows in samples(name, count=5).items()}
    plot_scores(summarise(made, config=CONFIG, resamples=50), [tmp_path / "a.png", tmp_path / "a.svg"])
    pixels = image.imread(tmp_path / "a.png")
    assert pixels.shape[0] > 350 * ((len(names) + 1) // 2) and pixels.std() > 0.01
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").count('id="axes_') == len(names)


# --- Bad folders --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_evaluation(tmp_path_factory.mktemp("results") / "good", samples("xnli", count=4))


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "good")


def changed(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["config.json", "model.safetensors"], "is a model's folder: cctuning evaluate model="),
        (["evaluation.json", "samples_xnli_sw.jsonl"], "has not finished: give its command again"),
        (["samples_xnli_sw.jsonl.part"], "has not finished"),
        (["results_2026-01-01T00-00-00.json"], "holds results of lm-evaluation-harness"),
        (["notes.txt"], r"holds no results.json, which cctuning evaluate writes at its end"),
        ([], "is empty"),
    ],
)
def test_a_folder_without_results_says_what_it_is(tmp_path, files, message):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(ResultsError, match=message):
        read_results(tmp_path)


def test_a_folder_that_is_not_there(folder):
    with pytest.raises(ResultsError, match="does not exist; did you mean 'good'"):
        read_results(folder.parent / "god")
    with pytest.raises(ResultsError, match="is a file, and must be a folder"):
        read_results(folder / "results.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"results": {"xnli_sw": {"acc,none": 0.5}}}', "was not written by cctuning evaluate"),
        ("[]", "was not written by cctuning evaluate"),
        ('{"results": ', "cannot be read"),
        ("", "cannot be read"),
        ('{"group_subtasks": {}}', "holds no scores"),
    ],
)
def test_results_of_another_shape(folder, content, message):
    (folder / "results.json").write_text(content)
    with pytest.raises(ResultsError, match=message):
        read_results(folder)


def test_results_that_lack_an_interval(folder):
    changed(folder / "results.json", lambda content: content["results"]["xnli_sw"].pop("accuracy_ci95,paper"))
    with pytest.raises(ResultsError, match="or changed since: KeyError, 'accuracy_ci95,paper'"):
        read_results(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"doc_id": 1, ', "is broken JSON at column 15"),
        ("[1]", "is a list, must be an object"),
        ({"doc_id": True}, "doc_id: is true or false"),
        ({"doc_id": 2}, "doc_id: 2 is in line 3 too"),
        ({"scores": [1]}, "scores: is a list"),
        ({"scores": {"f1,strict": 1.5}}, "scores, f1,strict: must be a number from 0 to 1"),
        ({"scores": {"f1,strict": "1"}}, "scores, f1,strict: must be a number from 0 to 1"),
        ({"stopped": 1}, "stopped: is a number"),
        ({"new_tokens": None}, "new_tokens: is null"),
        ({"layer": "missing"}, "layer: is missing"),
    ],
)
def test_lines_that_are_no_samples_are_named(folder, line, message):
    if isinstance(line, dict):
        values = sample("xnli", "sw", 7, {MAIN: 1.0}) | line
        line = json.dumps({key: value for key, value in values.items() if value != "missing"})
    path = folder / "samples_xnli_sw.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ResultsError, match=f"samples_xnli_sw.jsonl, line 5: {message}"):
        list(read_samples(folder))


def test_a_missing_samples_file(folder):
    (folder / "samples_xnli_sw.jsonl").unlink()
    with pytest.raises(ResultsError, match=r"samples_xnli_sw\.jsonl is missing, and results\.json beside it"):
        list(read_samples(folder))


def test_a_samples_file_that_was_cut_short(folder):
    path = folder / "samples_xnli_sw.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:3]), encoding="utf-8")
    with pytest.raises(ResultsError, match=r"holds 3 samples, and results\.json counts 4"):
        list(read_samples(folder))


def test_on_screen_a_score_at_the_end_of_its_interval_has_the_other_end():
    wrong, right = ([sample("xnli", "en", id, {MAIN: score}) for id in range(80)] for score in (0.0, 1.0))
    results = summarise({("xnli", "en"): wrong, ("xnli", "sw"): right}, config=CONFIG, resamples=50)
    words = printed(screen_table(results, width=80), width=80).split()
    assert "<4.5" in words and ">95.5" in words
    assert "outputs/made/monolingual, monolingual" in " ".join(words)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_with_their_place(tmp_path, number):
    folder = write_evaluation(tmp_path / "made", samples(count=12))
    path = folder / "samples_xnli_sw.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = json.loads(lines[1])
    broken["log_likelihoods"] = {"1": -1.0, "2": number}
    path.write_text("\n".join([lines[0], json.dumps(broken), *lines[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(ResultsError, match=r"samples_xnli_sw\.jsonl, line 2: log_likelihoods\.2"):
        list(read_samples(folder))
    results = json.loads((folder / "results.json").read_text())
    results["results"]["xnli_sw"][MAIN] = number
    (folder / "results.json").write_text(json.dumps(results))
    with pytest.raises(ResultsError, match=r"results\.json"):
        read_results(folder)
