"""Whatever a file holds, each of its lines becomes a row or a problem that names it."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cctuning.data.fields import OPTIONAL, PARTS, REQUIRED
from cctuning.data.formats import DataError
from cctuning.data.rows import read_rows, rows_from_records, write_rejects

FIELDS = (*REQUIRED, *OPTIONAL, *PARTS, "conversations", "conversations_en")
GOOD = {
    "id": "good",
    "language": "sw",
    "instruction": "Mji?",
    "instruction_en": "City?",
    "output": "Nairobi.",
}

# Also what JSON does not have but Python writes: NaN, infinities and halves of surrogate pairs.
texts = st.text(max_size=6) | st.text("\ud83d\u200b \0<|>{}\\", max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
messages = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "from", "value", "weight"]),
        st.sampled_from(["user", "assistant", "human", "gpt", "system"]) | values,
        max_size=3,
    ),
    max_size=3,
)
rows = st.dictionaries(st.sampled_from([*FIELDS, "other"]), values | messages | st.just("text"), max_size=8)
# A good row with one field changed meets the checks behind the first one.
almost = st.builds(lambda field, value: {**GOOD, field: value}, st.sampled_from(FIELDS), values | messages)
bytes_of_a_line = st.binary(max_size=20) | st.sampled_from([b"{", b"", b" ", b"{}x", b'{"id": 1, "id": 2}'])


def as_line(value):
    return json.dumps(value, ensure_ascii=True).encode()


lines = st.lists(
    (rows | almost | values).map(as_line) | bytes_of_a_line.map(lambda line: line.replace(b"\n", b"")),
    max_size=6,
)


def read(path):
    return read_rows([str(path)], conversations=True, on_bad_row="skip")


@settings(deadline=None, max_examples=80)
@given(lines)
def test_each_line_is_a_row_or_has_problems_and_reading_again_gives_the_same(content):
    content = [as_line(GOOD), *content]  # the kind of the file is told by its first bytes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(b"\n".join(content))
        try:
            taken, problems = read(path)
        except (
            DataError
        ) as error:  # about the file as a whole: a column that no row has, columns in place of rows
            assert str(error).startswith(str(path))
            return
        assert (taken, problems) == read(path)
        write_rejects(problems, Path(folder) / "rejects")
        text = (Path(folder) / "rejects").read_text("utf-8")
        rejects = [json.loads(line) for line in text.split("\n")[:-1]]  # not at \x85, as splitlines does
    numbers = {number for number, line in enumerate(content, start=1) if line.strip()}
    bad = {problem.number for problem in problems}
    assert {row.number for row in taken} | bad == numbers
    assert not {row.number for row in taken} & bad
    assert [row.number for row in taken] == sorted({row.number for row in taken})
    assert {problem.file for problem in problems} <= {str(path)}
    assert {problem.field for problem in problems} <= {*FIELDS, ""}
    check_rejects(rejects, content, bad)


def check_rejects(rejects, content, bad):
    """Each bad row is there once, with what the line held."""
    assert [reject["number"] for reject in rejects] == sorted(bad)
    for reject in rejects:
        assert reject["reasons"]
        line = content[reject["number"] - 1]
        try:
            decoded = json.loads(line)
        except ValueError:
            assert isinstance(reject["row"], str)
        else:
            assert as_line(reject["row"]) == as_line(decoded)


@settings(deadline=None, max_examples=60)
@given(st.lists(rows | almost, min_size=1, max_size=4))
def test_what_is_taken_is_what_was_written(records):
    try:
        taken, problems = rows_from_records(records, on_bad_row="skip")
    except DataError as error:
        assert str(error).startswith("train_dataset")
        return
    for row in taken:
        record = records[row.number - 1]
        with_parts = any(record.get(part) for part in PARTS)  # an input stands behind the instruction
        for field in (*REQUIRED, *OPTIONAL):
            given_value = record.get(field)
            if isinstance(given_value, str) and given_value.strip():
                given_value, taken_value = given_value.strip(), getattr(row, field).strip()
                assert given_value in taken_value if with_parts else given_value == taken_value
        for field in REQUIRED:
            assert getattr(row, field).strip()
    for problem in problems:
        assert len(str(problem)) < 400  # a message shows no long value


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60), st.sampled_from(["rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.parquet"]))
def test_any_bytes_are_rows_or_an_error_that_names_the_file(content, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            taken, problems = read(path)
        except DataError as error:
            assert str(error).startswith(str(path))
        else:
            assert not taken and problems  # so few bytes hold no row
