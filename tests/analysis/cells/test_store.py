"""Files of cells are whole, say what they hold, and are refused where they are something else."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cctuning.analysis.cells.store import SCHEMA, CellsError, has_cells, read_cells, write_cells

ROW = {
    "question": "7",
    "language": "th",
    "kind": "transplant",
    "source_layer": 3,
    "target_layer": 0,
    "tokens": [5, 6],
    "text": "กรุงเทพ",
    "log_probability": -1.5,
    "plain_log_probability": None,
    "option_log_probabilities": None,
    "score": 1.0,
    "correct": True,
    "right_log_probability": -0.25,
}


def test_rows_come_back(tmp_path):
    path = tmp_path / "deep" / "1.parquet"
    write_cells(path, [ROW, ROW | {"source_layer": None}], fingerprint="a")
    assert read_cells([path, path]).to_pylist() == 2 * [ROW, ROW | {"source_layer": None}]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "broken",
    [
        {"score": float("nan")},
        {"log_probability": float("-inf")},
        {"option_log_probabilities": [-1.0, float("nan")]},
    ],
)
def test_numbers_that_are_not_finite_are_neither_written_nor_read(tmp_path, broken):
    path = tmp_path / "1.parquet"
    with pytest.raises(CellsError, match=f"1.parquet, column {next(iter(broken))}: .*not finite"):
        write_cells(path, [ROW, ROW | broken], fingerprint="a")
    assert not path.exists()
    pq.write_table(pa.Table.from_pylist([ROW, ROW | broken], schema=SCHEMA), path)
    with pytest.raises(CellsError, match="not finite"):
        read_cells([path])


def test_any_reader_of_parquet_reads_them(tmp_path):
    write_cells(tmp_path / "1.parquet", [ROW], fingerprint="a")
    assert pq.read_table(tmp_path / "1.parquet").column_names == SCHEMA.names


def test_files_of_older_versions_are_read(tmp_path):
    older = pa.schema([field for field in SCHEMA if field.name != "right_log_probability"])
    pq.write_table(pa.Table.from_pylist([ROW], schema=older), tmp_path / "1.parquet")
    write_cells(tmp_path / "2.parquet", [ROW], fingerprint="a")
    found = read_cells([tmp_path / "1.parquet", tmp_path / "2.parquet"]).to_pylist()
    assert found == [ROW | {"right_log_probability": None}, ROW]


def test_no_files_have_no_rows():
    assert read_cells([]).num_rows == 0


def test_cells_of_other_questions_are_told_from_ours(tmp_path):
    path = tmp_path / "1.parquet"
    assert not has_cells(path, "a")
    write_cells(path, [ROW], fingerprint="a")
    assert has_cells(path, "a")
    with pytest.raises(CellsError, match="other questions"):
        has_cells(path, "b")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_a_damaged_file_is_an_error(tmp_path, content):
    path = tmp_path / "1.parquet"
    path.write_bytes(content)
    with pytest.raises(CellsError, match="damaged"):
        has_cells(path, "a")
    with pytest.raises(CellsError, match="cannot be read"):
        read_cells([path])


def test_another_table_and_a_missing_file_are_errors(tmp_path):
    path = tmp_path / "1.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(CellsError, match="no file of cells: its columns are a"):
        read_cells([path])
    with pytest.raises(CellsError, match=r"2\.parquet"):
        read_cells([tmp_path / "2.parquet"])


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "1.parquet"
    write_cells(path, [ROW], fingerprint="a")
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_cells(path, [ROW | {"score": "much"}], fingerprint="b")
    assert has_cells(path, "a")
    assert list(tmp_path.iterdir()) == [path]
