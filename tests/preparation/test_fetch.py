"""Files that are downloaded once: their checksums, and pointers of Git LFS."""

import functools
import hashlib

import pytest

from cctuning.preparation import fetch as fetching
from cctuning.preparation.download import DownloadError, download
from tests.preparation.server import serving

CONTENT = b'[{"instruction": "Habari?"}]' * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{DIGEST}\nsize {len(CONTENT)}\n".encode()


@pytest.fixture
def server():
    with serving(CONTENT) as answers:
        yield answers


def fetch(server, folder, **more):
    return fetching.fetch(server.url, folder, download=functools.partial(download, wait=0.001), **more)


def test_a_file_comes_once_with_its_checksum(server, tmp_path):
    path, was_there = fetch(server, tmp_path)
    assert (path.name, path.read_bytes(), was_there) == ("rows.json", CONTENT, False)
    assert path.with_name("rows.json.sha256").read_text() == f"{DIGEST}  rows.json\n"
    assert fetch(server, tmp_path, expected=DIGEST) == (path, True)
    assert len(server.asked) == 1


def test_a_damaged_file_comes_again(server, tmp_path):
    path, _ = fetch(server, tmp_path)
    path.write_bytes(CONTENT[1:])
    assert fetch(server, tmp_path) == (path, False)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("noted", [b"", b"\xff\xfe", b"no checksum"])
def test_without_a_checksum_it_comes_again(server, tmp_path, noted):
    path, _ = fetch(server, tmp_path)
    path.with_name("rows.json.sha256").write_bytes(noted)
    assert fetch(server, tmp_path) == (path, False)


def test_another_address_is_another_file(server, tmp_path):
    first, _ = fetch(server, tmp_path)
    server.url += "?commit=2"
    second, was_there = fetch(server, tmp_path)
    assert not was_there
    assert first.parent != second.parent


def test_the_expected_checksum_is_compared(server, tmp_path):
    with pytest.raises(DownloadError, match=f"has the SHA-256 {DIGEST}, but expected is {'0' * 64}"):
        fetch(server, tmp_path, expected="0" * 64)
    path, was_there = fetch(server, tmp_path, expected=DIGEST)  # what was refused is gone
    assert (path.read_bytes(), was_there) == (CONTENT, False)
    with pytest.raises(DownloadError, match=f"but expected is {'1' * 64}"):
        fetch(server, tmp_path, expected="1" * 64)
    assert path.read_bytes() == CONTENT


def test_an_address_must_not_become_another_file(server, tmp_path):
    path, _ = fetch(server, tmp_path)
    path.unlink()
    server.content = CONTENT[:-1]
    with pytest.raises(DownloadError, match=r"an earlier download left in .*rows\.json\.sha256"):
        fetch(server, tmp_path)
    assert not path.exists()


def test_a_pointer_is_followed(server, tmp_path):
    server.paths = {"/media": CONTENT, "/folder/rows.json": POINTER}
    path, _ = fetch(server, tmp_path, media_url=server.url.replace("/folder/rows.json", "/media"))
    assert path.read_bytes() == CONTENT
    assert fetch(server, tmp_path) == (path, True)


def test_a_pointer_names_the_checksum(server, tmp_path):
    server.paths = {"/media": CONTENT[1:], "/folder/rows.json": POINTER}
    with pytest.raises(DownloadError, match=f"but the pointer of Git LFS names {DIGEST}"):
        fetch(server, tmp_path, media_url=server.url.replace("/folder/rows.json", "/media"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_pointer_without_a_media_address(server, tmp_path):
    server.content = POINTER
    with pytest.raises(DownloadError, match="is a pointer of Git LFS: say with --media-url"):
        fetch(server, tmp_path)


def test_the_media_address_of_github(tmp_path):
    def give(url, path):
        asked.append(url)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CONTENT if "media" in url else POINTER)

    asked = []
    fetching.fetch("https://raw.githubusercontent.com/o/r/c/a/b.json", tmp_path, download=give)
    assert asked[1] == "https://media.githubusercontent.com/media/o/r/c/a/b.json"
