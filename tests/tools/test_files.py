"""Files are whole or not there, and what kills leave is taken away."""

import pytest

from cctuning.tools.files import whole, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end_of_the_block_alone(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.json"]


def test_after_an_error_the_file_is_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with pytest.raises(RuntimeError, match="in between"), whole(path) as part:
        part.write_text("ne")
        raise RuntimeError("in between")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_what_a_kill_has_left_goes_and_what_another_process_writes_stays(tmp_path):
    path, left, others = (tmp_path / name for name in ("a.json", ".a.json.123.part", ".b.json.123.part"))
    left.write_text("ha")
    others.write_text("ha")
    with whole(path) as first:
        first.write_text("first")
        write_whole(path, "second")  # as another process would, meanwhile
        assert first.exists() and not left.exists()
    assert path.read_text() == "first"
    assert names(tmp_path) == [".b.json.123.part", "a.json"]
