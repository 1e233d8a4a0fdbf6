import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cctuning.tools.locks import LOCK_FILE, LockedError, only_run_in, only_user_of

pytestmark = pytest.mark.slow

HOLD = """
import sys
from cctuning.tools.locks import only_run_in
with only_run_in(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_kept_out_until_the_first_ends(tmp_path, other):
    said = rf"another process \({other.pid}\) works in {tmp_path}: wait"
    with pytest.raises(LockedError, match=said), only_run_in(tmp_path):
        pass
    assert (tmp_path / LOCK_FILE).exists()  # it is the other's
    other.communicate()
    with only_run_in(tmp_path):
        assert (tmp_path / LOCK_FILE).exists()
    assert not list(tmp_path.iterdir())


def test_a_killed_process_holds_nothing(tmp_path, other):
    other.kill()
    other.wait()
    assert (tmp_path / LOCK_FILE).read_text() == str(other.pid)
    with only_run_in(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())


def test_the_folder_is_made_and_a_file_in_its_place_is_named(tmp_path):
    with only_run_in(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run").is_dir()
    assert not (tmp_path / "new").exists()  # nothing came of it
    with only_run_in(tmp_path / "new" / "run"):
        (tmp_path / "new" / "run" / "recipe.yaml").write_text("")
    assert [path.name for path in (tmp_path / "new" / "run").iterdir()] == ["recipe.yaml"]
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match=f"output_dir={tmp_path}/file cannot be written: File exists"),
        only_run_in(tmp_path / "file"),
    ):
        pass
    (tmp_path / "link").symlink_to("nowhere")
    said = f"output_dir={tmp_path}/link/run cannot be written: .*{tmp_path}/link is no folder"
    with pytest.raises(OSError, match=said), only_run_in(tmp_path / "link" / "run"):
        pass


@pytest.mark.parametrize("held", [only_run_in, only_user_of])
def test_a_full_disk_is_told_with_the_place_by_all_that_write_there(tmp_path, held):
    with pytest.raises(OSError) as caught, held(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a library's write that names no file
    assert caught.value.filename == str(tmp_path / "out")


def test_a_file_has_one_user_at_a_time_and_nothing_is_left(tmp_path):
    path = tmp_path / "new" / "cache.jsonl"
    said = rf"another process \({os.getpid()}\) uses {path}: wait"
    with only_user_of(path), pytest.raises(LockedError, match=said), only_user_of(path):
        pass
    with only_user_of(path), only_user_of(path.with_name("other.jsonl")):
        pass
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match="file/cache cannot be written"),
        only_user_of(tmp_path / "file" / "cache"),
    ):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be made")
def test_a_folder_that_cannot_be_made_is_told():
    with pytest.raises(OSError, match="output_dir=/proc/x cannot be written"), only_run_in("/proc/x"):
        pass
