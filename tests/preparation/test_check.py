"""`cctuning prepare check`: the report, what it writes, and its exit status."""

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cctuning.data.rows import read_rows
from cctuning.preparation import check
from tests.json_lines import write_lines

GOOD = [
    {"id": "1", "language": "sw", "instruction": "Habari?", "instruction_en": "News?", "output": "Nzuri."},
    {"id": "2", "language": "sw", "instruction": "Habari?", "instruction_en": "News?", "output": "Nzuri."},
    {"id": "1", "language": "ru", "instruction": "Новости?", "instruction_en": "News?", "output": "Нет."},
    {"id": "3", "language": "ru", "instruction": "OK?", "instruction_en": "OK?", "output": "Да."},
]
BAD = [
    {"id": "4", "language": "ru", "instruction": "Да?", "instruction_en": "", "output": "Да."},
    {"id": "1", "language": "ru", "instruction": "Опять?", "instruction_en": "Again?", "output": "Да."},
]


@pytest.fixture
def data(tmp_path):
    def write(rows):
        path = tmp_path / "rows.jsonl"
        return str(write_lines(path, rows))

    return write


def test_report_counts_each_language(data):
    rows, _ = read_rows([data(GOOD)])
    russian, swahili = check.report(rows)
    assert (swahili.language, swahili.rows, swahili.repeated, swahili.same_as_english) == ("sw", 2, 1, 0)
    assert (russian.language, russian.rows, russian.repeated, russian.same_as_english) == ("ru", 2, 0, 1)
    assert russian.lengths["instruction"] == (3, 8, 8)


@given(st.lists(st.integers(), min_size=1), st.integers(0, 100))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values, percent):
    values.sort()
    found = check.percentile(values, percent)
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < max(percent * len(values), 1)
    assert check.percentile(values, 50) == statistics.median_low(values)


SHAREGPT = [
    {"id": "7", "conversations": [{"from": "human", "value": "Habari?"}, {"from": "gpt", "value": "Nzuri."}]}
]


def test_the_english_side_may_be_in_another_file_or_nowhere(data, tmp_path, capsys):
    sharegpt, english = data(SHAREGPT), tmp_path / "en.jsonl"
    english.write_text(json.dumps({"id": "7", "instruction": "News?"}), encoding="utf-8")
    assert check.main([sharegpt]) == 2
    said = capsys.readouterr().err
    assert all(option in said for option in ("--column messages_en=", "--english FILE", "--plain"))
    assert "connection.enabled" not in said and "columns." not in said
    assert check.main([sharegpt, "--plain"]) == 0
    joined = tmp_path / "joined.jsonl"
    assert check.main([sharegpt, "--english", str(english), "--language", "sw", "--write", str(joined)]) == 0
    row = json.loads(joined.read_text())
    assert (row["instruction"], row["instruction_en"], row["output"]) == ("Habari?", "News?", "Nzuri.")


def test_rows_without_a_response_are_for_an_alignment_alone(data, tmp_path, capsys):
    silent = [{key: value for key, value in row.items() if key != "output"} for row in GOOD[:3]]
    assert check.main([data(silent)]) == 2
    assert "check --alignment" in capsys.readouterr().err
    assert check.main([data([*GOOD[3:], *silent])]) == 1
    target = tmp_path / "written.jsonl"
    assert check.main([data([*GOOD[3:], *silent]), "--alignment", "--write", str(target)]) == 0
    assert "no response" in capsys.readouterr().out
    rows, _ = read_rows([str(target)], response=False)
    assert [row.output for row in rows] == ["Да.", "", "", ""]
    russian, swahili = check.report(rows)
    assert (russian.without_response, swahili.without_response) == (1, 2)
    assert (russian.lengths["output"], swahili.lengths["output"]) == ((3, 3, 3), (0, 0, 0))


def test_good_data_exits_with_0(data, capsys):
    assert check.main([data(GOOD)]) == 0
    printed = capsys.readouterr().out
    assert "sw" in printed
    assert "no bad rows" in printed


def test_bad_rows_are_named_and_exit_with_1(data, capsys):
    path = data(GOOD + BAD)
    assert check.main([path]) == 1
    printed = capsys.readouterr().out
    assert "2 bad rows (instruction_en 1, id 1)" in printed
    assert f"{path}, row 5, instruction_en" in printed
    assert f"{path}, row 6, id" in printed


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_written_rows_read_back_the_same(data, tmp_path, suffix):
    source, target = data(GOOD + BAD), tmp_path / "new" / f"good{suffix}"
    assert check.main([source, "--write", str(target)]) == 0
    before, _ = read_rows([source], on_bad_row="skip")
    after, problems = read_rows([str(target)])
    fields = ("id", "language", "instruction", "instruction_en", "output", "output_en")
    assert not problems
    assert [[getattr(row, field) for field in fields] for row in after] == [
        [getattr(row, field) for field in fields] for row in before
    ]
    rejects = (tmp_path / "new" / "good.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["row"] for line in rejects] == BAD


def test_an_unknown_language_is_not_written(data, tmp_path):
    target = tmp_path / "good.jsonl"
    row = {"instruction": "Habari?", "instruction_en": "News?", "output": "Nzuri."}
    assert check.main([data([row]), "--write", str(target)]) == 0
    assert json.loads(target.read_text(encoding="utf-8")) == {"id": "rows:1", **row}


def test_columns_and_language_are_passed_on(data, capsys):
    row = {"prompt": "Habari?", "instruction_en": "News?", "output": "Nzuri."}
    assert check.main([data([row]), "--column", "instruction=prompt", "--language", "sw"]) == 0
    assert "sw" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--column", "prompt"], ["--write", "rows.csv"]])
def test_arguments_that_cannot_be_used_are_refused(data, arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        check.main([data(GOOD), *arguments])
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_a_missing_source_is_one_line(capsys):
    assert check.main(["no/such/rows.jsonl"]) == 2
    assert capsys.readouterr().err.startswith("error: no/such/rows.jsonl does not exist")
