"""Tables of made-up evaluations."""

import csv
import io

import pytest
from rich.console import Console

from cctuning.evaluation.results import ResultsError, read_results
from cctuning.study.table import MEAN, columns_of, markdown, read_scores, screen_table, write_tables
from cctuning.study.table import csv as csv_text
from tests.samples import samples, write_evaluation


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    both = samples("xnli", level=0.3) | samples("mkqa", ("de",), level=0.3)
    write_evaluation(folder / "low", both)
    write_evaluation(folder / "high", samples("xnli", level=0.7) | samples("mkqa", ("de",), level=0.2))
    write_evaluation(folder / "one", samples("xlsum", ("en",)))
    return folder


@pytest.fixture(scope="module")
def table(folders):
    return {name: read_scores(folders / name) for name in ("low", "high", "one")}


def test_scores_are_the_benchmarks_main_ones_and_their_mean(folders, table):
    results = read_results(folders / "low")
    group = results["groups"]["xnli"]
    assert list(table["low"]) == ["XNLI", "MKQA", MEAN]
    assert table["low"]["XNLI"].value == group["accuracy,paper"]
    assert list(table["low"]["XNLI"].interval) == group["accuracy_ci95,paper"]
    assert table["low"][MEAN].value == pytest.approx(
        (table["low"]["XNLI"].value + table["low"]["MKQA"].value) / 2
    )
    assert list(table["one"]) == ["XLSum"]  # one benchmark has no mean


def test_columns_are_all_benchmarks_and_last_the_mean(table):
    assert columns_of(table) == ["XNLI", "MKQA", "XLSum", MEAN]
    assert columns_of({"one": table["one"]}) == ["XLSum"]


def test_markdown_marks_the_best_and_shows_what_is_missing(table):
    head, _, low, high, one = markdown(table).splitlines()
    assert head == "|  | XNLI | MKQA | XLSum | mean |"
    best = f"**{100 * table['high']['XNLI'].value:.1f}**"
    assert best in high.split("|")[2]
    assert "**" not in low.split("|")[2]
    assert "**" not in one  # nothing to be better than
    assert [cell.strip() for cell in one.split("|")[2:4]] == ["-", "-"]


def test_csv_holds_every_score_and_interval(table):
    lines = list(csv.DictReader(io.StringIO(csv_text(table))))
    assert len(lines) == 3 + 3 + 1
    for line in lines:
        score = table[line["row"]][line["benchmark"]]
        assert float(line["score"]) == score.value
        assert (float(line["low"]), float(line["high"])) == score.interval


def test_the_screen_shows_every_row_and_score(table):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(screen_table(table, "made up"))
    shown = console.export_text()
    for name, scores in table.items():
        assert name in shown
        assert all(f"{100 * score.value:.1f}" in shown for score in scores.values())


def test_tables_are_written(table, tmp_path):
    write_tables(table, tmp_path / "new", title="made up")
    assert markdown(table) in (tmp_path / "new" / "table.md").read_text()
    assert (tmp_path / "new" / "table.csv").read_text() == csv_text(table)


def test_a_folder_without_results(tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        read_scores(tmp_path / "gone")
