"""Each fault that a row can have is put into good rows, and must come back as one problem that names it."""

import json
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.data.fields import stripped
from cctuning.data.formats import DataError
from cctuning.data.rows import (
    BadRowsError,
    Problem,
    Row,
    held_out_rows,
    read_rows,
    rows_from_records,
    sample_rows,
    stream_rows,
    write_rejects,
)
from tests.json_lines import read_lines, write_lines

GOOD = [
    {
        "id": number,
        "language": language,
        "instruction": f"Frage {number}?",
        "instruction_en": f"Question {number}?",
        "output": f"Antwort {number}",
        "output_en": f"Answer {number}",
        "source": "ours",
    }
    for number, language in enumerate(["de", "sw", "zh-Hans", "und", "pt_BR"])
]


def write(path, rows):
    return str(write_lines(path, rows))


def changed(**values):
    """The good rows, the third of them changed; a value of ... takes the key away."""
    row = {key: value for key, value in {**GOOD[2], **values}.items() if value is not ...}
    return [*GOOD[:2], row, *GOOD[3:]]


# --- Rows that are taken ------------------------------------------------------------------------------------


def test_a_row_and_where_it_was_read(tmp_path):
    path = write(tmp_path / "rows.jsonl", GOOD)
    rows, problems = read_rows([path])
    assert problems == []
    assert rows[2] == Row(
        id="2",
        instruction="Frage 2?",
        instruction_en="Question 2?",
        output="Antwort 2",
        language="zh-Hans",
        output_en="Answer 2",
        file=path,
        number=3,
    )


def test_the_authors_file_as_it_is(tmp_path):
    """A list of objects with three columns: ids, languages and English outputs are made up for."""
    path = tmp_path / "aya_train.json"
    path.write_text(json.dumps([{"instruction": "x", "instruction_en": "e", "output": "y"}] * 2))
    rows, _ = read_rows([str(path)])
    assert [(row.id, row.language, row.output_en) for row in rows] == [
        ("aya_train:1", "und", None),
        ("aya_train:2", "und", None),
    ]


def test_null_is_absent_in_optional_columns(tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(id=None, language=None, output_en=None))
    rows, _ = read_rows([path])
    assert (rows[2].id, rows[2].language, rows[2].output_en) == ("rows:3", "und", None)


def test_default_ids_differ_where_files_share_a_name(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "rows.jsonl", changed(id=...)[2:3])
    rows, problems = read_rows([str(tmp_path)])
    assert problems == []
    assert len({row.id for row in rows}) == 2


def test_one_id_in_two_languages_is_one_english_item(tmp_path):
    path = write(tmp_path / "rows.jsonl", [*GOOD, {**GOOD[0], "language": "fr"}])
    assert [row.id for row in read_rows([path])[0]][::5] == ["0", "0"]


def test_a_given_language_is_that_of_rows_without_one(tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(language=...))
    rows, _ = read_rows([path], language="fr")
    assert [row.language for row in rows] == ["de", "sw", "fr", "und", "pt_BR"]


@pytest.mark.parametrize("english", [..., None, " "])
@pytest.mark.parametrize("code", ["en", "en-GB", "EN_us"])
def test_an_english_row_is_its_own_parallel(english, code, tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(language=code, instruction_en=english))
    rows, _ = read_rows([path])
    assert rows[2].instruction_en == rows[2].instruction


def test_an_english_file_needs_no_column_of_translations(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"instruction": "x", "output": "y"}])
    assert read_rows([path], language="en")[0][0].instruction_en == "x"


def test_renamed_columns(tmp_path):
    rows = [{"uid": 7, "prompt": "x", "prompt_en": "e", "answer": "y", "input": "not ours"}]
    names = {"id": "uid", "instruction": "prompt", "instruction_en": "prompt_en", "output": "answer"}
    path = write(tmp_path / "rows.jsonl", rows)
    row = read_rows([path], columns={**names, "output_en": "input"})[0][0]
    assert (row.id, row.instruction, row.output, row.output_en) == ("7", "x", "y", "not ours")


# Any text at all, with a letter so that it is not blank.
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=8).map(lambda text: f"{text}x")
records = st.lists(
    st.fixed_dictionaries(
        {"instruction": words, "instruction_en": words, "output": words, "id": words},
        optional={"language": st.sampled_from(["de", "sw", "zh-Hans"]), "output_en": words | st.none()},
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row["id"],
)


def in_every_format(rows, folder):
    write(folder / "lines.jsonl", rows)
    (folder / "list.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    # Parquet knows the columns of the rows it is shown first.
    columns = {key: [row.get(key) for row in rows] for key in {key for row in rows for key in row}}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "table.parquet")
    Dataset.from_dict(columns).save_to_disk(folder / "saved")
    return [folder / "lines.jsonl", folder / "list.json", folder / "table.parquet", folder / "saved"]


@settings(deadline=None, max_examples=25)
@given(records)
def test_every_format_gives_the_rows_that_were_written(rows):
    with tempfile.TemporaryDirectory() as folder:
        for path in in_every_format(rows, Path(folder)):
            read, problems = read_rows([str(path)])
            assert problems == []
            for number, (row, written) in enumerate(zip(read, rows, strict=True), start=1):
                assert (row.file, row.number) == (str(path), number)
                texts = {"instruction", "instruction_en", "output", "output_en"}
                as_read = {
                    key: stripped(text) if key in texts and text is not None else text
                    for key, text in written.items()
                }
                assert {key: getattr(row, key) for key in written} == as_read


# --- Rows that are not --------------------------------------------------------------------------------------

FAULTS = [
    ({"instruction": ""}, "instruction", "is empty"),
    ({"output": " \n\t\u3000"}, "output", "is empty"),
    ({"output": "\u200b\ufeff\u200e\u00ad\ufe0f\u3164\0"}, "output", "is empty"),
    ({"instruction_en": ...}, "instruction_en", "is missing: the row has no English translation"),
    ({"instruction_en": "  "}, "instruction_en", "is empty: the row has no English translation"),
    ({"instruction_en": None}, "instruction_en", "is null: the row has no English translation"),
    ({"output": ...}, "output", "is missing"),
    ({"output": None}, "output", "is null"),
    ({"output": 3}, "output", "is a number, must be text"),
    ({"output": float("nan")}, "output", "is NaN"),
    ({"output": ["y"]}, "output", "is a list, must be text"),
    ({"instruction": {"role": "user"}}, "instruction", "is an object, must be text"),
    ({"instruction": "half \ud83d"}, "instruction", "half of a surrogate pair"),
    ({"output_en": 3}, "output_en", "is a number, must be text"),
    ({"output_en": ""}, "output_en", "is empty: leave it out"),
    ({"id": True}, "id", "is true or false, must be text or a whole number"),
    ({"id": 2.5}, "id", "is a number, must be text or a whole number"),
    ({"id": " "}, "id", "is empty"),
    ({"id": 1, "language": "sw"}, "id", "'1' in language 'sw' is also the id of"),
    ({"id": "1", "language": "sw"}, "id", "row 2"),
    ({"language": "xx"}, "language", "'xx' is no language code"),
    ({"language": "English"}, "language", "'English' is no language code"),
    ({"language": ""}, "language", "is empty"),
    ({"language": 49}, "language", "is a number"),
    ({"input": "more of the question"}, "input_en", "is missing"),
]


@pytest.mark.parametrize(("fault", "field", "message"), FAULTS)
def test_one_bad_row_is_one_problem_that_names_it(fault, field, message, tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(**fault))
    rows, problems = read_rows([path], on_bad_row="skip")
    (problem,) = problems
    assert [row.id for row in rows] == ["0", "1", "3", "4"]
    assert (problem.file, problem.number, problem.field) == (path, 3, field)
    assert message in problem.message
    assert str(problem).startswith(f"{path}, row 3, {field}: ")
    with pytest.raises(BadRowsError, match="1 bad row:") as error:
        read_rows([path])
    assert str(problem) in str(error.value)
    assert error.value.problems == problems


@settings(deadline=None, max_examples=60)
@given(records, st.data())
def test_a_fault_anywhere_is_found_there_and_only_there(rows, data):
    bad = data.draw(st.integers(0, len(rows) - 1))
    fault, field, _ = data.draw(st.sampled_from([fault for fault in FAULTS if fault[1] != "id"]))
    rows[bad] = {key: value for key, value in {**rows[bad], **fault}.items() if value is not ...}
    rows.append({**GOOD[0], "id": "last"})  # so that no column is missing as a whole
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "rows.jsonl", rows)
        read, problems = read_rows([path], on_bad_row="skip")
    assert [(problem.number, problem.field) for problem in problems] == [(bad + 1, field)]
    assert [row.number for row in read] == [number for number in range(1, len(rows) + 1) if number != bad + 1]


def test_an_empty_input_column_is_no_fault(tmp_path):
    path = write(
        tmp_path / "rows.jsonl",
        [{**row, "input": value} for row, value in zip(GOOD, ["", None, " ", "", ""], strict=True)],
    )
    assert len(read_rows([path])[0]) == len(GOOD)


def test_all_faults_of_a_row_are_told(tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(output="", language="xx"))
    _, problems = read_rows([path], on_bad_row="skip")
    assert {problem.field for problem in problems} == {"output", "language"}


@pytest.mark.parametrize(
    ("line", "message"),
    [(b'{"id": 3', "broken JSON at column 9"), (b'{"id": "\xff"}', "not UTF-8"), (b"[1]", "is a list")],
)
def test_a_line_that_is_no_row(line, message, tmp_path):
    path = tmp_path / "rows.jsonl"
    write(path, GOOD)
    path.write_bytes(path.read_bytes() + line)
    rows, (problem,) = read_rows([str(path)], on_bad_row="skip")
    assert len(rows) == len(GOOD)
    assert problem.number == len(GOOD) + 1
    assert message in str(problem)


def test_a_duplicate_in_another_file_names_both_places(tmp_path):
    first, second = write(tmp_path / "a.jsonl", GOOD), write(tmp_path / "b.jsonl", GOOD[3:4])
    _, (problem,) = read_rows([first, second], on_bad_row="skip")
    assert (problem.file, problem.number) == (second, 1)
    assert f"{first}, row 4" in problem.message
    assert "set language=" in problem.message  # two files of two languages that do not say so


def test_an_empty_file(tmp_path):
    empty, full = write(tmp_path / "a.jsonl", []), write(tmp_path / "b.jsonl", GOOD)
    rows, problems = read_rows([empty, full], on_bad_row="skip")
    assert [str(problem) for problem in problems] == [f"{empty}: holds no rows"]
    assert len(rows) == len(GOOD)
    bad = write(tmp_path / "c.jsonl", [{**GOOD[0], "output": "", "instruction": ""}])
    with pytest.raises(BadRowsError, match=r"^1 bad row, 1 empty file:"):
        read_rows([empty, bad])


def test_many_problems_are_counted_and_the_first_are_shown(tmp_path):
    path = write(tmp_path / "rows.jsonl", [GOOD[0], *[{**GOOD[1], "output": ""}] * 50])
    with pytest.raises(BadRowsError) as error:
        read_rows([path])
    lines = str(error.value).splitlines()
    assert lines[0] == "50 bad rows:"
    assert len(lines) == 1 + 20 + 2
    assert "and 30 more" in lines[-2]
    assert "on_bad_row=skip" in lines[-1]
    assert len(error.value.problems) == 50


# --- Columns and arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("on_bad_row", ["error", "skip"])
def test_a_missing_column_is_one_error_with_the_way_out(on_bad_row, tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"instruction": "x", "instructions_en": "e", "output": "y"}] * 3)
    with pytest.raises(DataError) as error:
        read_rows([path], on_bad_row=on_bad_row)
    for part in [
        path,
        "no column 'instruction_en'",
        "did you mean 'instructions_en'",
        "columns.instruction_en=NAME",
    ]:
        assert part in str(error.value)
    assert "columns: instruction, instructions_en, output" in str(error.value)


def test_the_prompt_is_not_proposed_as_its_own_english_parallel(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"instruction": "x", "output": "y"}])
    with pytest.raises(DataError, match=r"no column 'instruction_en'\n.*connection\.enabled=false"):
        read_rows([path])


@pytest.mark.parametrize("missing", [..., None, "  "])
def test_rows_without_an_english_parallel_where_none_is_needed(missing, tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(instruction_en=missing))
    rows, problems = read_rows([path], english=False)
    assert problems == []
    assert [row.instruction_en for row in rows[1:4]] == ["Question 1?", "", "Question 3?"]
    with pytest.raises(BadRowsError, match="row 3, instruction_en: is a number"):
        read_rows([write(tmp_path / "rows.jsonl", changed(instruction_en=5))], english=False)


UNANSWERED = [{**row, "output": output} for row, output in zip(GOOD, ["a", None, " ", "", None], strict=True)]


def test_rows_without_a_response_where_none_is_needed(tmp_path):
    for path in in_every_format(UNANSWERED, tmp_path):
        rows, problems = read_rows([str(path)], response=False)
        assert [row.output for row in rows] == ["a", "", "", "", ""] and problems == []
        assert list(stream_rows([str(path)], response=False)) == rows
        rows, problems = read_rows([str(path)], on_bad_row="skip")
        assert [row.output for row in rows] == ["a"]
        assert {problem.field for problem in problems} == {"output"}
        assert all("connection.alignment" in problem.message for problem in problems)
    rows, _ = rows_from_records(UNANSWERED, response=False)
    assert [row.output for row in rows] == ["a", "", "", "", ""]
    (tmp_path / "table.tsv").write_text("instruction\tinstruction_en\toutput\nx\te\t\nx\te\ty\n")
    assert [row.output for row in read_rows([str(tmp_path / "table.tsv")], response=False)[0]] == ["", "y"]


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "x", "input": "z", "instruction_en": "e", "input_en": "f"},
        {"messages": [{"role": "user", "content": "x"}], "messages_en": [{"role": "user", "content": "e"}]},
        {"conversations": [{"from": "human", "value": "x"}], "instruction_en": "e"},
    ],
    ids=["Alpaca", "OpenAI", "ShareGPT"],
)
def test_a_file_of_prompts_alone_in_other_layouts(row, tmp_path):
    path = write(tmp_path / "rows.jsonl", [row] * 2)
    rows, _ = read_rows([path], response=False)
    assert [(row.instruction[0], row.instruction_en[0], row.output) for row in rows] == [("x", "e", "")] * 2
    with pytest.raises((BadRowsError, DataError), match="response"):
        read_rows([path])


@pytest.mark.parametrize(
    "values",
    [{"instruction_en": GOOD[2]["instruction"]}, {"language": "en", "instruction_en": ...}],
    ids=["not translated", "English"],
)
def test_a_row_that_has_neither_a_response_nor_two_prompts_would_train_nothing(values, tmp_path):
    path = write(tmp_path / "rows.jsonl", changed(output=None, **values))
    rows, [problem] = read_rows([path], response=False, on_bad_row="skip")
    assert (len(rows), problem.number, problem.field) == (4, 3, "output")
    assert "train nothing" in problem.message


def test_a_renamed_optional_column_that_is_nowhere(tmp_path):
    path = write(tmp_path / "rows.jsonl", GOOD)
    with pytest.raises(DataError, match=r"columns\.language='lang'.*did you mean 'language'"):
        read_rows([path], columns={"language": "lang"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_bad_row": "ignore"}, "error, skip"),
        ({"language": "Deutsch"}, "'Deutsch' is no language code"),
        ({"columns": {"instructions": "x"}}, "did you mean 'instruction'"),
    ],
)
def test_arguments_that_are_not_accepted(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_rows([write(tmp_path / "rows.jsonl", GOOD)], **arguments)


# --- Rejects and samples ------------------------------------------------------------------------------------


def test_rejects_hold_every_bad_row_as_it_was(tmp_path):
    bad = changed(output="", language="xx")
    path = tmp_path / "rows.jsonl"
    write(path, [*bad, {**GOOD[0], "id": 9, "instruction": "\ud83d"}])
    path.write_bytes(path.read_bytes() + b'{"id": ')
    _, problems = read_rows([str(path)], on_bad_row="skip")
    write_rejects(problems, tmp_path / "rejects.jsonl")
    rejects = read_lines(tmp_path / "rejects.jsonl")
    assert [reject["number"] for reject in rejects] == [3, 6, 7]
    assert len(rejects[0]["reasons"]) == 2
    assert rejects[0]["row"] == bad[2]
    assert rejects[1]["row"]["instruction"] == "\ud83d"
    assert rejects[2]["row"] == '{"id": '
    assert {reject["file"] for reject in rejects} == {str(path)}


def test_a_reject_that_is_nested_too_deeply_is_listed_all_the_same(tmp_path):
    nested = []
    for _ in range(100_000):
        nested = [nested]
    write_rejects([Problem("rows.jsonl", 7, "output", "is a list", nested)], tmp_path / "rejects.jsonl")
    reject = json.loads((tmp_path / "rejects.jsonl").read_text())
    assert (reject["number"], reject["row"]) == (7, "is nested too deeply to be written here")


def test_a_row_that_a_later_step_rejects(tmp_path):
    rows, _ = read_rows([write(tmp_path / "rows.jsonl", GOOD)])
    problem = rows[1].problem("instruction", "is too long")
    assert problem == Problem(rows[1].file, 2, "instruction", "is too long")
    write_rejects([problem], tmp_path / "rejects.jsonl")
    reject = json.loads((tmp_path / "rejects.jsonl").read_text())
    assert reject["reasons"] == ["instruction: is too long"]
    assert reject["row"]["output"] == "Antwort 1"


def test_samples(tmp_path):
    rows, _ = read_rows([write(tmp_path / "rows.jsonl", GOOD)])
    drawn = sample_rows(rows, 3, seed=1)
    assert drawn == sample_rows(rows, 3, seed=1)
    assert [row for row in rows if row in drawn] == drawn  # in the old order
    assert {tuple(row.id for row in sample_rows(rows, 3, seed=seed)) for seed in range(50)} != {
        tuple(row.id for row in drawn)
    }
    assert sample_rows(rows, None, seed=1) == sample_rows(rows, 99, seed=1) == rows


def test_texts_are_read_without_outer_blanks(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {
        "instruction": "  a\u3000b\n",
        "instruction_en": "\ufeffc",
        "output": "\nNairobi.\n\n",
        "output_en": "\u200bd ",
        "language": "sw",
    }
    path.write_text(json.dumps(row) + "\n")
    [found], _ = read_rows([str(path)])
    assert (found.instruction, found.instruction_en, found.output, found.output_en) == (
        "a\u3000b",
        "c",
        "Nairobi.",
        "d",
    )


@pytest.mark.parametrize(
    ("id", "read"), [(1.0, "1"), (Decimal(7), "7"), (12, "12"), (" 1", " 1"), (1.5, None), (2.0**60, None)]
)
def test_whole_numbers_are_ids_however_they_are_written(id, read):
    row = {"id": id, "language": "sw", "instruction": "a", "instruction_en": "b", "output": "c"}
    rows, problems = rows_from_records([row], on_bad_row="skip")
    assert [one.id for one in rows] == ([] if read is None else [read])
    assert [problem.field for problem in problems] == (["id"] if read is None else [])


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_names_of_classes_are_read(tmp_path, kind):
    texts = {name: ["a", "b"] for name in ("instruction", "instruction_en", "output")}
    label = ClassLabel(names=["sw", "th"])
    features = Features({**{name: Value("string") for name in texts}, "language": label})
    features["kind"] = label  # with no label at all in one row
    data_set = Dataset.from_dict({**texts, "language": [1, 0], "kind": [-1, 0]}, features=features)
    path = tmp_path / "rows.parquet"
    if kind == "parquet":
        data_set.to_parquet(path)
    else:
        path = tmp_path / "saved"
        data_set.save_to_disk(path)
    rows, _ = read_rows([str(path)])
    assert [row.language for row in rows] == ["th", "sw"]


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_items_are_held_out_with_all_of_their_translations(share, tmp_path):
    rows = [{**GOOD[0], "id": number, "language": code} for number in range(10) for code in ("de", "sw")]
    rows, _ = read_rows([write(tmp_path / "rows.jsonl", rows)])
    kept, held_out = held_out_rows(rows, share, seed=1)
    assert len({row.id for row in held_out}) == 10 * share and len(held_out) == 20 * share
    assert sorted(kept + held_out, key=rows.index) == rows
    assert held_out_rows(rows, share, seed=1) == (kept, held_out)
    if share:
        assert held_out_rows(rows, share, seed=2) != (kept, held_out)
        with pytest.raises(ValueError, match="leaves none"):
            held_out_rows(rows[:2], share, seed=1)
