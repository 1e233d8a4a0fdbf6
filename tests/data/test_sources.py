import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict

from cctuning.data.formats import DataError
from cctuning.data.sources import find_sources

ROWS = [{"instruction": "Grüße", "n": 1}, {"instruction": "नमस्ते\u2028\x85", "n": None}]


def read(*names, split="train"):
    return [
        record.values
        for source in find_sources([*map(str, names)], split=split)
        for record in source.records()
    ]


def names(*sources, split="train"):
    return [source.name.rpartition("/")[2] for source in find_sources([*map(str, sources)], split=split)]


def write_lines(path, rows=ROWS, *, ascii_only=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows), encoding="utf-8"
    )
    return path


# --- Formats ------------------------------------------------------------------------------------------------


def as_json_lines(path):
    return write_lines(path / "rows.jsonl")


def as_escaped_json_lines(path):
    return write_lines(path / "rows.jsonl", ascii_only=True)


def as_json_lines_named_json(path):
    return write_lines(path / "rows.json")


def as_json_list(path):
    (path / "rows.json").write_text(json.dumps(ROWS, indent=4, ensure_ascii=False), encoding="utf-8")
    return path / "rows.json"


def as_json_list_with_mark(path):
    (path / "rows.json").write_text("\n " + json.dumps(ROWS), encoding="utf-8-sig")
    return path / "rows.json"


def as_windows_json_lines(path):
    content = write_lines(path / "rows.jsonl").read_bytes()
    (path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n\r\n"))
    return path / "rows.jsonl"


def as_gzip(path):
    (path / "rows.jsonl.gz").write_bytes(gzip.compress(write_lines(path / "rows").read_bytes()))
    return path / "rows.jsonl.gz"


def as_parquet(path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path / "rows.PARQUET")
    return path / "rows.PARQUET"


def as_saved_data_set(path):
    Dataset.from_list(ROWS).save_to_disk(path / "saved")
    return path / "saved"


def as_saved_data_sets(path):
    DatasetDict(train=Dataset.from_list(ROWS), test=Dataset.from_list(ROWS[:1])).save_to_disk(path / "saved")
    return path / "saved"


def as_repository(path):
    """A hub repository's folder with two configurations; the address names one."""
    write_lines(path / "de" / "train.jsonl")
    write_lines(path / "de" / "test.jsonl", ROWS[:1])
    write_lines(path / "fr" / "train.jsonl", ROWS[:1])
    configs = [{"config_name": name, "data_dir": name} for name in ("de", "fr")]
    (path / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    return f"{path}:de"


@pytest.mark.parametrize(
    "write",
    [
        as_json_lines,
        as_escaped_json_lines,
        as_json_lines_named_json,
        as_json_list,
        as_json_list_with_mark,
        as_windows_json_lines,
        as_gzip,
        as_parquet,
        as_saved_data_set,
        as_saved_data_sets,
        as_repository,
    ],
)
def test_every_format_gives_the_same_rows(write, tmp_path):
    assert read(write(tmp_path)) == ROWS


def test_json_lines_are_numbered_by_line(tmp_path):
    (tmp_path / "rows.jsonl").write_text('\n{"a": 1}\n   \n{"a": 2}')
    (source,) = find_sources([str(tmp_path / "rows.jsonl")])
    assert [record.number for record in source.records()] == [2, 4]


def test_broken_lines_are_kept_as_text_beside_the_good_ones(tmp_path):
    good = json.dumps({"a": "é"}, ensure_ascii=False).encode()
    content = b"\n".join([good, b'{"a": 1', good, b'{"a": "caf\xe9"}', b"[" * 100_000, good])
    (tmp_path / "rows.jsonl").write_bytes(content)
    (source,) = find_sources([str(tmp_path / "rows.jsonl")])
    records = list(source.records())
    assert [record.fault is None for record in records] == [True, False, True, False, False, True]
    assert "column 8" in records[1].fault
    assert records[1].values == '{"a": 1'
    assert f"byte {content.index(0xE9, content.index(b'caf'))} " in records[3].fault
    assert records[3].values == '{"a": "caf\\xe9"}'


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("rows.json", b'[{"a": 1},\n{"a": 2]', ["line 2, column 8"]),
        ("rows.json", b'["caf\xe9"]', ["not UTF-8", "byte 5"]),
        ("rows.jsonl", '{"a": 1}'.encode("utf-16"), ["UTF-16", "save it as UTF-8"]),
        ("rows.jsonl.gz", b"no gzip", ["not compressed"]),
        (
            "rows.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 99999, mtime=0)[:200],
            ["cannot be read", "end-of-stream"],
        ),
        ("rows.parquet", b"no parquet", ["Parquet"]),
        ("rows.txt", b"a,b", ["suffix", ".jsonl"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name, content, parts, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read(tmp_path / name)
    for part in [name, *parts]:
        assert part in str(error.value)


# --- Names --------------------------------------------------------------------------------------------------


def test_folders_and_globs_in_order(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "more/c.jsonl", ".git/d.jsonl", "dataset_info.json", "notes.txt"):
        write_lines(tmp_path / name)
    assert names(tmp_path) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert names(tmp_path / "*.jsonl") == ["a.jsonl", "b.jsonl"]
    assert names(tmp_path / "m*" / "*.jsonl") == ["c.jsonl"]
    assert names(tmp_path / "b.jsonl", tmp_path / "a.jsonl") == ["b.jsonl", "a.jsonl"]


def test_a_folder_may_be_named_like_a_file(tmp_path):
    write_lines(tmp_path / "rows" / "a.jsonl" / "b.jsonl")
    assert names(tmp_path / "rows") == ["b.jsonl"]


def test_a_relative_glob(tmp_path, monkeypatch):
    write_lines(tmp_path / "rows" / "a.jsonl")
    monkeypatch.chdir(tmp_path)
    assert names("rows/*.jsonl") == ["a.jsonl"]


def test_other_splits_of_a_folder_are_left_out(tmp_path):
    for name in ("train-00000-of-00001.jsonl", "test.jsonl", "de_dev.jsonl", "latest.jsonl"):
        write_lines(tmp_path / name)
    assert names(tmp_path) == ["latest.jsonl", "train-00000-of-00001.jsonl"]
    assert names(tmp_path, split="validation") == ["de_dev.jsonl", "latest.jsonl"]
    assert names(tmp_path / "test.jsonl") == ["test.jsonl"]  # named by hand, it is meant


def test_a_folder_with_other_splits_only(tmp_path):
    write_lines(tmp_path / "test.jsonl")
    with pytest.raises(DataError, match=r"split 'train' \(data_split\), only test\.jsonl"):
        read(tmp_path)


def test_a_split_that_a_data_set_lacks(tmp_path):
    with pytest.raises(DataError, match=r"no split 'dev'.*only train, test"):
        read(as_saved_data_sets(tmp_path), split="dev")
    with pytest.raises(DataError, match="dev"):
        read(as_repository(tmp_path / "repository"), split="dev")


def test_a_missing_file_names_the_nearest(tmp_path):
    write_lines(tmp_path / "german.jsonl")
    with pytest.raises(DataError, match=r"germann\.jsonl does not exist; did you mean 'german\.jsonl'"):
        read(tmp_path / "germann.jsonl")
    with pytest.raises(DataError, match="nor does its folder"):
        read(tmp_path / "gone" / "german.jsonl")
    with pytest.raises(DataError, match="no file matches"):
        read(tmp_path / "*.parquet")


def test_a_missing_file_of_a_recipe_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"cctuning prepare(.|\n)*data=\[my_rows\.jsonl\]"):
        read("data/aya_parallel.jsonl")


def test_a_name_that_is_neither_here_nor_on_the_hub():
    with pytest.raises(DataError, match="nobody/nothing:de is no local file"):
        read("nobody/nothing:de")


def test_a_folder_without_rows(tmp_path):
    with pytest.raises(DataError, match="holds no"):
        read(tmp_path)


def test_no_name_at_all():
    with pytest.raises(DataError, match="no data"):
        find_sources([])


@pytest.mark.parametrize(
    ("name", "stem"), [("de.jsonl", "de"), ("v1.2.jsonl.gz", "v1.2"), ("a.b.parquet", "a.b"), ("x.json", "x")]
)
def test_stems(name, stem, tmp_path):
    write_lines(tmp_path / name)
    assert find_sources([str(tmp_path / name)])[0].stem == stem


def test_folders_named_after_a_column(tmp_path):
    """Partitions as Hive and Arrow write them; without a column in the file the folder's name counts."""
    for place, row in [
        ("language=sw/0.jsonl", {"instruction": "a"}),
        ("language=zh-Hans/topic=a%20b/0.jsonl", {"instruction": "b", "language": None}),
        ("language=th/0.jsonl", {"instruction": "c", "language": "sw"}),
        ("split=test/0.jsonl", {"instruction": "d"}),
    ]:
        path = tmp_path / "rows" / place
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(row) + "\n")
    sources = find_sources([str(tmp_path / "rows")])
    first, second, third = [record for source in sources for record in source.records()]
    assert first.values == {"instruction": "a", "language": "sw"} and first.fault is None
    assert second.fault and "language" in second.fault
    assert third.values == {"instruction": "b", "language": "zh-Hans", "topic": "a b"}
    [alone] = find_sources([str(tmp_path / "rows/language=sw/0.jsonl")])
    assert [record.values["language"] for record in alone.records()] == ["sw"]


def test_folders_above_the_data_are_no_columns(tmp_path):
    folder = tmp_path / "output=v2" / "rows"
    (folder / "language=sw").mkdir(parents=True)
    for path in (folder / "0.jsonl", folder / "language=sw" / "1.jsonl"):
        path.write_text('{"instruction": "a"}\n')
    found = [record.values for source in find_sources([str(folder)]) for record in source.records()]
    assert found == [{"instruction": "a"}, {"instruction": "a", "language": "sw"}]
    for named in ("language=sw", "language=*", "language=sw/1.jsonl"):
        [partition] = find_sources([str(folder / named)])
        assert [record.values for record in partition.records()] == [{"instruction": "a", "language": "sw"}]
    [alone] = find_sources([str(folder / "0.jsonl")])
    assert [record.values for record in alone.records()] == [{"instruction": "a"}]
