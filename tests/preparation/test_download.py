"""Downloads from a server that cuts connections, changes its file, ignores ranges and fails."""

import errno
import random
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cctuning.preparation.download import TRIES, DownloadError, download
from cctuning.tools.locks import only_run_in
from tests.preparation.server import serving

KIB = 1024
CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(250_000)


@pytest.fixture
def server():
    with serving(CONTENT) as answers:
        yield answers


def get(server, folder: Path) -> bytes:
    path = folder / "file.json"
    download(server.url, path, wait=0.001)
    assert [entry.name for entry in folder.iterdir()] == ["file.json"]  # nothing stays beside it
    return path.read_bytes()


def ranges(server) -> list[str | None]:
    return [headers.get("Range") for headers in server.asked]


def test_a_file_is_downloaded(server, tmp_path):
    assert get(server, tmp_path) == CONTENT
    assert ranges(server) == [None]
    assert server.asked[0]["Accept-Encoding"] == "identity"


def test_a_cut_connection_is_gone_on_with(server, tmp_path):
    server.cuts = [96 * KIB, 0, 48 * KIB]
    assert get(server, tmp_path) == CONTENT
    assert ranges(server) == [None, *(f"bytes={start * KIB}-" for start in (96, 96, 144))]
    assert all(headers["If-Range"] == '"one"' for headers in server.asked[1:])


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, 150_000), max_size=TRIES - 1),
    ranges=st.booleans(),
    tag=st.sampled_from(['"one"', 'W/"one"', None]),
)
def test_the_file_is_whole_however_it_came(tmp_path_factory, cuts, ranges, tag):
    with serving(CONTENT) as server:
        server.cuts, server.ranges, server.tag = cuts, ranges, tag
        assert get(server, tmp_path_factory.mktemp("whole")) == CONTENT


def test_a_file_that_changes_meanwhile_is_never_mixed(server, tmp_path):
    def change(answers):
        if len(answers.asked) == 2:
            answers.content, answers.tag = OTHER, '"two"'

    server.cuts, server.before = [96 * KIB], change
    assert get(server, tmp_path) == OTHER
    assert ranges(server) == [None, f"bytes={96 * KIB}-"]


@pytest.mark.parametrize("tag", [None, 'W/"one"'])
def test_without_a_sure_version_it_starts_again(server, tmp_path, tag):
    server.cuts, server.tag = [96 * KIB], tag
    assert get(server, tmp_path) == CONTENT
    assert ranges(server) == [None, None]


def test_an_ignored_range_starts_again(server, tmp_path):
    server.cuts, server.ranges = [96 * KIB], False
    assert get(server, tmp_path) == CONTENT
    assert ranges(server) == [None, f"bytes={96 * KIB}-"]


def test_tries_end_and_a_later_call_goes_on(server, tmp_path):
    server.cuts = [64 * KIB] + [0] * TRIES
    with pytest.raises(DownloadError, match=rf"in {TRIES} tries.*65,536 bytes that came are kept"):
        get(server, tmp_path)
    assert len(server.asked) == TRIES
    server.cuts = []
    assert get(server, tmp_path) == CONTENT
    assert ranges(server)[-1] == f"bytes={64 * KIB}-"


def test_what_another_address_left_is_not_gone_on_with(server, tmp_path):
    server.cuts = [64 * KIB] + [0] * TRIES
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    server.cuts, server.url = [], server.url + "?other"
    assert get(server, tmp_path) == CONTENT
    assert ranges(server)[-1] is None


def test_a_file_that_was_whole_when_the_process_ended_is_taken(server, tmp_path):
    server.cuts = [64 * KIB] + [0] * TRIES
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    server.cuts = []
    (tmp_path / "file.json.part").write_bytes(CONTENT)
    assert get(server, tmp_path) == CONTENT
    assert ranges(server)[-1] == f"bytes={len(CONTENT)}-"


def test_too_much_of_another_file_starts_again(server, tmp_path):
    server.cuts = [len(CONTENT) - 1] + [0] * TRIES
    with pytest.raises(DownloadError):
        get(server, tmp_path)
    server.cuts, server.content = [], CONTENT[:1000]  # shorter, under the same tag
    assert get(server, tmp_path) == CONTENT[:1000]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_status_is_tried_again(server, tmp_path, status):
    server.statuses = [status, status]
    assert get(server, tmp_path) == CONTENT
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "said"), [(404, "commit"), (403, "refused"), (401, "login"), (410, "Gone")]
)
def test_a_lasting_status_is_an_error_at_once(server, tmp_path, status, said):
    server.statuses = [status]
    with pytest.raises(DownloadError, match=f"{server.url} answers {status} .*{said}"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_no_server(tmp_path):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadError, match=f"in {TRIES} tries: no connection .*refused"):
            download(f"http://127.0.0.1:{taken.getsockname()[1]}/x", tmp_path / "file", wait=0.001)


@pytest.mark.parametrize("url", ["no address", "ftp://localhost/x", "http://"])
def test_what_is_no_address(tmp_path, url):
    with pytest.raises(DownloadError, match="cannot be downloaded"):
        download(url, tmp_path / "file", wait=0.001)


def test_a_full_disk(server, tmp_path, monkeypatch):
    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, chunk):
            raise OSError(errno.ENOSPC, "No space left on device")

    usual = Path.open

    def opened(path, mode="r", **more):
        return Full(usual(path, mode)) if mode == "ab" else usual(path, mode, **more)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DownloadError, match=r"is full.*make room"):
        get(server, tmp_path)


def test_two_processes_do_not_write_one_file(server, tmp_path):
    with only_run_in(tmp_path), pytest.raises(DownloadError, match="another process downloads into"):
        get(server, tmp_path)
    assert not server.asked


def test_a_broken_note_starts_again(server, tmp_path):
    (tmp_path / "file.json.part").write_bytes(OTHER[:1000])
    (tmp_path / "file.json.part.json").write_text("{", encoding="utf-8")
    assert get(server, tmp_path) == CONTENT
    assert ranges(server) == [None]
