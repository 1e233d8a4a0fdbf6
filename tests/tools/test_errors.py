"""Failed writes, on a device that is always full and under a limit of a file's size."""

import errno
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cctuning import CCTuningModel
from cctuning.export import export_monolingual
from cctuning.tools.errors import message_of, naming_written
from cctuning.tools.files import write_whole
from cctuning.tools.growing_files import add_lines
from tests.tiny import tiny_llama, tiny_tokenizer


@contextmanager
def largest_file(size):
    """A process that may write no file larger than `size` bytes: Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_told_with_the_file(tmp_path):
    with pytest.raises(OSError) as caught:
        add_lines(Path("/dev/full"), [{"id": 1}])
    assert caught.value.errno == errno.ENOSPC
    assert message_of(caught.value).startswith("/dev/full: ") and "make room" in message_of(caught.value)


def test_a_file_that_grows_too_large_is_named_and_the_old_one_stays(tmp_path):
    path = tmp_path / "report.json"
    write_whole(path, "old")
    with largest_file(10), pytest.raises(OSError, match=str(path)):
        write_whole(path, "new" * 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_that_cannot_be_written_is_an_error_with_the_folder(tmp_path):
    tokenizer = tiny_tokenizer()
    model = CCTuningModel.wrap(tiny_llama(len(tokenizer)))
    with largest_file(10_000), pytest.raises(OSError, match=str(tmp_path)) as caught:
        export_monolingual(model, tokenizer, torch.eye(32), tmp_path / "exported")
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "none", "a"), OSError("no number"), ValueError("x")])
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, naming_written("file"):
        raise error
    assert caught.value is error


def test_free_space_is_that_of_a_known_place_alone():
    assert "MiB" in message_of(OSError(errno.ENOSPC, "full", "file"))
    message = message_of(OSError(errno.ENOSPC, "full"))
    assert "make room" in message and "MiB" not in message
