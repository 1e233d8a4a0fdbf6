"""Lines that were added are there again after every kill."""

import pytest

from cctuning.tools.growing_files import BrokenLineError, add_lines, keep_lines, recover_lines

OBJECTS = [{"id": 0, "text": "a\u2028b\n"}, {"id": 1, "text": "é"}, {"id": 2, "text": ""}]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lines.jsonl"


def test_after_every_cut_whole_lines_are_read_and_half_a_line_is_gone(path):
    sizes = []
    for one in OBJECTS:
        add_lines(path, [one])
        sizes.append(path.stat().st_size)
    content = path.read_bytes()
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        whole = sum(end >= size for size in sizes)
        assert recover_lines(path, dict) == OBJECTS[:whole]
        assert path.read_bytes() == content[: ([0, *sizes])[whole]]
        add_lines(path, OBJECTS[whole:])
        assert path.read_bytes() == content


def test_a_missing_file_has_no_lines_and_is_not_made(path):
    assert recover_lines(path, dict) == []
    assert not path.exists()


@pytest.mark.parametrize("line", [b"{", b"", b"\xff", b"7", b'{"other": 1}', b"[" * 100_000])
def test_a_line_of_something_else_is_named_and_nothing_is_cut(path, line):
    add_lines(path, OBJECTS[:1])
    content = path.read_bytes() + line + b"\n" + b'{"half'
    path.write_bytes(content)
    with pytest.raises(BrokenLineError) as caught:
        recover_lines(path, lambda values: values["id"])
    assert str(caught.value) == f"{path}, line 2"
    assert path.read_bytes() == content


@pytest.mark.parametrize("count", range(len(OBJECTS) + 1))
def test_the_first_lines_are_kept(path, count):
    add_lines(path, OBJECTS)
    keep_lines(path, count)
    assert recover_lines(path, dict) == OBJECTS[:count]
