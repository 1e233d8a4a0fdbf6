import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset

from cctuning.data import formats
from cctuning.data.formats import DataError, json_records, parquet_records, saved_records

ROWS = [{"instruction": "Mji?", "n": number} for number in range(5)]


def values(records):
    return [record.values for record in records]


def test_a_line_without_end_is_a_fault_and_the_next_one_is_read(tmp_path, monkeypatch):
    """The limit, made small: also what is longer than two limits, the last line, and a compressed file."""
    monkeypatch.setattr(formats, "LONGEST_LINE", 30)
    lines = ['{"a": 1}', json.dumps({"a": "x" * 100}), '{"a": 2}', json.dumps({"a": "x" * 20}), "y" * 31]
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    records = list(json_records(tmp_path / "rows.jsonl.gz"))
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    assert [record.fault is None for record in records] == [True, False, True, True, False]
    assert "is a line of 110 bytes, and the longest that is read has 30" in records[1].fault
    assert records[1].values == lines[1][:31]


def test_the_byte_of_a_fault_is_counted_over_long_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LONGEST_LINE", 30)
    content = b"x" * 70 + b'\n{"a": "\xff"}'
    (tmp_path / "rows.jsonl").write_bytes(content)
    fault = list(json_records(tmp_path / "rows.jsonl"))[1].fault
    assert f"byte {content.index(0xFF)} " in fault


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '[{"a": 1, "b": 2, "a": 3}]'])
def test_a_key_twice_is_a_fault_of_its_row(text, tmp_path):
    (tmp_path / "rows.json").write_text(text)
    (record,) = json_records(tmp_path / "rows.json")
    assert record.fault == "has the key 'a' twice"
    assert record.values == {"a": 3, "b": 2}


def test_a_key_twice_inside_of_another_value_is_nobodys_business(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"a": {"b": 1, "b": 2}}')
    (record,) = json_records(tmp_path / "rows.jsonl")
    assert record.fault is None and record.values == {"a": {"b": 2}}


def test_dictionary_and_large_columns_are_text(tmp_path):
    text = pyarrow.array(["Mji?", "Mto?", "Mji?"])
    table = pyarrow.table({"a": text.dictionary_encode(), "b": text.cast(pyarrow.large_string())})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert values(parquet_records(tmp_path / "rows.parquet")) == [{"a": t, "b": t} for t in text.to_pylist()]


def test_only_the_row_that_python_cannot_hold_is_a_fault(tmp_path):
    raw = pyarrow.array([b"good", b"K\xf6ln", b"good"])
    text = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"a": text}), tmp_path / "rows.parquet")
    records = list(parquet_records(tmp_path / "rows.parquet"))
    assert [(record.number, record.fault is None) for record in records] == [(1, True), (2, False), (3, True)]


def test_a_saved_data_set_of_several_files_is_what_datasets_reads(tmp_path):
    Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved", num_shards=3)
    records = list(saved_records(tmp_path / "saved", "train"))
    assert values(records) == list(Dataset.load_from_disk(tmp_path / "saved"))
    assert [record.number for record in records] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["../other", "/etc/other", "..", "", "a/b", "a\\b", "a\0b", 3, None])
def test_a_saved_data_set_names_only_files_of_its_own(name, tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(DataError, match="no plain name"):
        list(saved_records(tmp_path, "train"))


@pytest.mark.parametrize("state", ["{", "[]", "{}", '{"_data_files": 3}', "[" * 100_000])
def test_a_saved_data_set_that_is_none(state, tmp_path):
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(DataError, match=r"state\.json is not what datasets writes"):
        list(saved_records(tmp_path, "train"))
