import pytest

from cctuning.tools import marks
from cctuning.tools.marks import UNFINISHED, begin, finish, foreign_file, missing_mark


def test_marks_go_first_and_come_last(tmp_path):
    folder = tmp_path / "new"
    assert missing_mark(folder) == ""
    begin(folder, "a.csv", "b.json")
    for mark in ("a.csv", "b.json"):
        assert missing_mark(folder) == mark and (folder / UNFINISHED).is_file()
        finish(folder, mark, "text")
    assert missing_mark(folder) == "" and not (folder / UNFINISHED).exists()
    begin(folder, "b.json")
    assert [path.name for path in sorted(folder.iterdir())] == [UNFINISHED, "a.csv"]
    assert missing_mark(folder) == "b.json"


def test_a_folder_is_foreign_until_its_mark_is_there_or_awaited(tmp_path):
    assert foreign_file(tmp_path / "missing", "mark") == foreign_file(tmp_path, "mark") == ""
    (tmp_path / ".lock").touch()
    assert foreign_file(tmp_path, "mark") == ""
    (tmp_path / "table.csv").touch()
    assert foreign_file(tmp_path, "mark") == "table.csv"
    begin(tmp_path, "mark")  # and killed before its end
    assert foreign_file(tmp_path, "mark") == "" != foreign_file(tmp_path, "other")
    finish(tmp_path, "mark", "text")
    assert foreign_file(tmp_path, "mark") == "" != foreign_file(tmp_path, "other")


def test_a_kill_may_come_at_any_moment(tmp_path, monkeypatch):
    """Before the mark has gone the folder is as it was, and whole with the mark."""
    (tmp_path / "mark").write_text("old")

    def killed(path, text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(marks, "write_whole", killed)
        begin(tmp_path, "mark")
    assert (tmp_path / "mark").read_text() == "old"
    begin(tmp_path, "mark")
    (tmp_path / "mark").write_text("new")  # and no more
    assert missing_mark(tmp_path) == ""


@pytest.mark.parametrize("content", [b"", b"\xff\0\n", b"../../etc\n" * 1000])
def test_a_list_that_is_none_is_read(tmp_path, content):
    (tmp_path / UNFINISHED).write_bytes(content)
    assert bool(missing_mark(tmp_path)) == bool(content)
