"""Lines and tables of made-up evaluations."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from cctuning.commands.studies.lines import MEAN, read_lines, read_scores
from cctuning.commands.studies.plan import Step, TableRow
from cctuning.commands.studies.table import (
    columns_of,
    costs_table,
    csv_text,
    languages_markdown,
    markdown,
    matrix_errors_table,
    screen_table,
    write_tables,
)
from cctuning.evaluation.asking.sample_files import ResultsError
from cctuning.evaluation.comparison.evaluations import read_evaluation
from cctuning.evaluation.results.folder import read_results
from cctuning.stats.bootstrap import Interval
from tests.samples import samples, write_evaluation
from tests.screen import printed


def row(title, *folders, baseline=None):
    """A row of the evaluations in these folders, one for each seed."""
    steps = [Step(str(folder), "evaluate", (), {}, folder) for folder in folders]
    return TableRow(title, tuple(steps), baseline)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    for name, level in {"low": 0.3, "high": 0.9}.items():
        made = samples("xnli", level=level) | samples("mkqa", ("de",), level=0.5, seed=level)
        write_evaluation(folder / name, made, prompting=name)  # which is no reason to warn in a study
    write_evaluation(folder / "one", samples("xlsum", ("en",)))
    return folder


@pytest.fixture(scope="module")
def rows(folders):
    return [
        row("low", folders / "low"),
        row("high", folders / "high", baseline="low"),
        row("one", folders / "one"),
    ]


@pytest.fixture(scope="module")
def lines(rows):
    lines, warnings = read_lines(rows, resamples=2000)
    assert warnings == []
    return lines


def test_scores_are_the_benchmarks_main_ones_and_their_mean(folders, lines):
    low, _, one = lines
    group = read_results(folders / "low")["groups"]["xnli"]
    assert list(low.scores) == ["XNLI", "MKQA", MEAN]
    assert low.scores["XNLI"].value == group["accuracy,paper"]
    assert list(low.scores["XNLI"].interval) == group["accuracy_ci95,paper"]
    assert low.scores[MEAN].value == pytest.approx((low.scores["XNLI"].value + low.scores["MKQA"].value) / 2)
    assert list(one.scores) == ["XLSum"]  # one benchmark has no mean


def test_differences_are_to_the_baseline_and_sure_where_they_are_large(lines):
    low, high, one = lines
    assert not low.differences and not one.differences
    assert high.baseline == "low"
    assert list(high.differences) == list(high.scores)
    for column, difference in high.differences.items():
        assert difference.value == pytest.approx(high.scores[column].value - low.scores[column].value)
        assert difference.interval.low < difference.value < difference.interval.high
    assert high.differences["XNLI"].stars
    assert not high.differences["MKQA"].stars


def test_a_row_whose_baseline_is_missing_has_no_differences(rows):
    lines, _ = read_lines(rows[1:], resamples=200)
    assert [(line.baseline, dict(line.differences)) for line in lines] == [(None, {}), (None, {})]


def test_questions_that_not_both_were_asked_are_named(folders, tmp_path):
    fewer = {task: made[5:] for task, made in samples("xnli", level=0.5).items()}
    write_evaluation(tmp_path / "fewer", fewer)
    rows = [row("low", folders / "low"), row("fewer", tmp_path / "fewer", baseline="low")]
    lines, warnings = read_lines(rows, resamples=200)
    assert list(lines[1].differences) == ["XNLI"]
    assert any("xnli" in warning for warning in warnings)


def test_columns_are_all_benchmarks_and_last_the_mean(lines):
    assert columns_of(lines) == ["XNLI", "MKQA", "XLSum", MEAN]
    assert columns_of(lines[2:]) == ["XLSum"]


def test_markdown_marks_the_best_and_shows_what_is_missing(lines):
    text = markdown(lines).splitlines()
    head, _, low, high, one = (line.split("|")[1:-1] for line in text[2:7])
    assert [cell.strip() for cell in head] == ["", "XNLI", "MKQA", "XLSum", "mean"]
    assert f"**{100 * lines[1].scores['XNLI'].value:.1f}**" in high[1]
    assert "**" not in low[1]
    assert not any("**" in cell for cell in one)  # nothing to be better than
    assert [cell.strip() for cell in one[1:3]] == ["-", "-"]
    difference = lines[1].differences["XNLI"]
    assert text[-1].startswith(f"| high - low | +{100 * difference.value:.1f}{difference.stars} [+")
    assert markdown(lines[:1]).count("| --- |") == 1  # no differences and no costs, no table of them


def test_languages_have_two_decimals_and_are_those_of_the_results(folders, lines):
    text = languages_markdown(lines)
    assert re.findall("^## (.*)", text, re.M) == columns_of(lines)
    xnli = text.split("## ")[1]
    results = read_results(folders / "high")["results"]
    shares = [results[f"xnli_{language}"]["accuracy,paper"] for language in ("en", "sw")]
    cells = [f"{100 * share:.2f}" for share in (*shares, lines[1].scores["XNLI"].value)]
    assert "| en | sw | mean |" in xnli and f"| high | {' | '.join(cells)} |" in xnli


def test_costs_and_errors_of_matrices_are_beside_what_they_are_compared_with(folders, tmp_path):
    """Of two seeds: the means of both."""
    rows = []
    for name, seconds, baseline in (("low", (1, 3), None), ("high", (4, 8), "low")):
        steps = []
        for number, step_seconds in enumerate(seconds):
            run, errors = tmp_path / f"{name}{number}", tmp_path / f"{name}{number}" / "errors"
            errors.mkdir(parents=True)
            rate = {"train_steps_per_second": 1 / step_seconds}
            (run / "training_report.json").write_text(json.dumps(rate))
            measured = {"XNLI": {"mse": step_seconds, "r2": 0.5}, "MKQA": {"mse": 2, "r2": None}}
            (errors / "errors.json").write_text(json.dumps({"benchmarks": measured}))
            evaluation = write_evaluation(run / "evaluation", samples("xnli", seed=f"{name}{number}"))
            results = read_results(evaluation)
            speeds = (4 / step_seconds, 0.0)  # the second task's answers are all empty
            for task, speed in zip(results["generation"].values(), speeds, strict=True):
                task |= {"seconds": 5 * step_seconds, "tokens_per_second": speed}
            (evaluation / "results.json").write_text(json.dumps(results))
            fitted = {"benchmarks": ["xnli"]}
            steps.append(
                [
                    Step(str(run), "train", (), {}, run),
                    Step(str(evaluation), "evaluate", (), {}, evaluation),
                    Step(str(errors), "fit", (), fitted, errors),
                ]
            )
        trainings, evaluations, errors = zip(*steps, strict=True)
        rows.append(TableRow(name, evaluations, baseline, trainings, errors if baseline else ()))
    lines, _ = read_lines(rows, resamples=200)
    assert costs_table(lines).rows == [
        ["low", "2.00", "", "1.00", ""],
        ["high", "6.00", "3.00", "3.00", "3.00"],
    ]
    assert matrix_errors_table(lines).rows == [["high", "6 (0.50)", "2"]]
    read = csv.DictReader(io.StringIO(csv_text(lines)))
    assert [(line["row"], line["matrix_mse"], line["matrix_r2"]) for line in read] == [
        ("low", "", ""),
        ("high", "6.0", "0.5"),
    ]
    (rows[0].trainings[1].mark).write_text("{}")  # in several parts: its rate is not known
    lines, _ = read_lines(rows, resamples=200)
    assert costs_table(lines).rows[1] == ["high", "6.00", "", "3.00", "3.00"]


def test_nothing_is_best_where_all_are_alike(lines):
    assert "**" not in markdown([lines[0], lines[0]])


def test_csv_holds_every_score_interval_and_difference(lines):
    read = list(csv.DictReader(io.StringIO(csv_text(lines))))
    by_title = {line.title: line for line in lines}
    assert len(read) == 3 + 3 + 1
    for line in read:
        own, column = by_title[line["row"]], line["benchmark"]
        score = own.scores[column]
        assert (float(line["score"]), float(line["low"]), float(line["high"])) == (
            score.value,
            *score.interval,
        )
        if line["row"] == "high":
            assert (float(line["difference"]), line["baseline"]) == (own.differences[column].value, "low")
            assert float(line["p_holm"]) == own.differences[column].p_holm
        else:
            assert line["difference"] == line["baseline"] == line["p"] == ""


def test_the_screen_shows_every_row_score_and_difference(lines):
    shown = printed(screen_table(lines, "made up"), width=100)
    for line in lines:
        assert line.title in shown
        assert all(f"{100 * score.value:.1f}" in shown for score in line.scores.values())
    assert re.search(rf"- low .*\+{100 * lines[1].differences['XNLI'].value:.1f}\*", shown)


def test_the_screen_gives_the_other_end_where_a_score_is_one_end_of_its_interval(lines):
    [column, *_] = lines[0].scores
    none = replace(lines[0].scores[column], value=0.0, interval=Interval(0.0, 0.3))
    line = replace(lines[0], scores={column: none}, differences={})
    shown = printed(screen_table([line], "made up"), width=100)
    assert "<30.0" in shown and "±" not in shown


def test_tables_are_written(lines, tmp_path):
    write_tables(lines, tmp_path / "new", title="made up")
    assert (tmp_path / "new" / "table.md").read_text() == f"# made up\n\n{markdown(lines)}\n"
    assert (tmp_path / "new" / "table.csv").read_text() == csv_text(lines)
    assert (tmp_path / "new" / "languages.md").read_text().endswith(f"{languages_markdown(lines)}\n")


def test_a_folder_without_results(tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        read_scores(tmp_path / "gone")


def test_seeds_are_drawn_as_questions_are(tmp_path):
    """Against a bootstrap written out: seeds and questions are drawn, the same ones for both models."""
    folders = {
        (name, seed): write_evaluation(
            tmp_path / f"{name}{seed}", samples("xnli", level=level, seed=f"{name}{seed}")
        )
        for name, level in [("low", 0.4), ("high", 0.6)]
        for seed in range(3)
    }
    of = {name: [folders[name, seed] for seed in range(3)] for name in ("low", "high")}
    lines, warnings = read_lines(
        [row("low", *of["low"]), row("high", *of["high"], baseline="low")], resamples=20_000
    )
    assert warnings == []

    def scores(folder):  # (questions, languages)
        tasks = read_evaluation(folder).tasks.values()
        return np.array([list(task.scores["accuracy,paper"].values()) for task in tasks]).T

    low, high = (np.stack([scores(folder) for folder in of[name]]) for name in ("low", "high"))
    assert lines[1].scores["XNLI"].value == pytest.approx(high.mean())
    difference = lines[1].differences["XNLI"]
    assert difference.value == pytest.approx((high - low).mean())
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(20_000):
        seeds, questions = random.integers(3, size=3), random.integers(40, size=40)
        drawn.append([part[seeds][:, questions].mean() for part in (high, high - low)])
    expected = np.quantile(drawn, [0.025, 0.975], axis=0).T
    assert list(lines[1].scores["XNLI"].interval) == pytest.approx(expected[0], abs=0.01)
    assert list(difference.interval) == pytest.approx(expected[1], abs=0.01)


def test_seeds_that_were_asked_other_questions(folders, tmp_path):
    fewer = {task: made[5:] for task, made in samples("xnli", level=0.5).items()}
    write_evaluation(tmp_path / "fewer", fewer)
    with pytest.raises(ValueError, match=r"low.*fewer.*same questions of xnli_en"):
        read_lines([row("low", folders / "low", tmp_path / "fewer")], resamples=200)
