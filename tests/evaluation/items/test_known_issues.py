"""Known faults: where they are read, and what is left out."""

import json

import pytest

from cctuning.data.formats import DataError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.known_issues import read_known_issues, without_known_issues

MMMLU, XNLI = find_benchmark("mmmlu"), find_benchmark("xnli")
FAULTS = {"ko": {"not_parallel": [2, 3], "other_answer": [3], "why": "other questions"}}


def items(language, count=5):
    return [Item(number, language, "p", "p", ("A",)) for number in range(count)]


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("place", ["benchmarks/anomalies.json", "anomalies.json"])
@pytest.mark.parametrize("name", ["benchmarks/MMMLU", "MMMLU"])
def test_faults_are_those_of_the_folder(tmp_path, place, name):
    (tmp_path / "benchmarks").mkdir()
    written(tmp_path / place, {"note": "ids", name: FAULTS, "unseen/XNLI": {"de": {"shifted": [1]}}})
    faults = read_known_issues(tmp_path / "benchmarks")
    in_parent_without_folder = "/" not in place and "/" not in name
    assert faults == (
        {} if in_parent_without_folder else {"MMMLU": {"ko": {"not_parallel": [2, 3], "other_answer": [3]}}}
    )


def test_faulty_items_are_left_out_and_counted_by_reason(tmp_path):
    written(tmp_path / "anomalies.json", {"MMMLU": FAULTS})
    faults = read_known_issues(tmp_path)
    kept, left_out = without_known_issues(items("ko"), faults, MMMLU)
    assert [item.id for item in kept] == [0, 1, 4]
    assert left_out == {"not_parallel": [2, 3], "other_answer": [3]}
    for language, benchmark in (("sw", MMMLU), ("ko", XNLI)):
        assert without_known_issues(items(language), faults, benchmark) == (items(language), {})


def test_without_a_file_nothing_is_known(tmp_path):
    assert read_known_issues(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ([1], "is a list, must be an object"),
        ({"MMMLU": ["ko"]}, "MMMLU: is a list, must be an object"),
        ({"MMMLU": {"ko": [1]}}, "MMMLU, ko: is a list, must be an object"),
        ({"MMMLU": {"ko": {"bad": [1, None]}}}, "MMMLU, ko, bad: holds null, must be ids"),
        ({"MMMLU": {"ko": {"bad": [1.5]}}}, "MMMLU, ko, bad: holds a number, must be ids"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, message):
    written(tmp_path / "anomalies.json", content)
    with pytest.raises(DataError, match=r"anomalies\.json") as raised:
        read_known_issues(tmp_path)
    assert message in str(raised.value)
