"""A disk that is full, too small for one file, or read-only: a clear end, and nothing good is lost."""

import functools
import resource
import subprocess

import pytest

from cctuning.commands import train_model as train
from cctuning.training.checkpoints import newest_complete
from tests.processes import start
from tests.scripts import ON_CPU, call, succeed, write_base, write_rows

pytestmark = pytest.mark.slow

SETTINGS = {
    **ON_CPU,
    "logging_steps": "1",
    "save_strategy": "steps",
    "save_steps": "2",
    "save_total_limit": "null",
    "max_steps": "6",
}


@pytest.fixture
def arguments(tmp_path):
    base, data = write_base(tmp_path / "base"), write_rows(tmp_path / "rows.jsonl")

    def into(output_dir, **changes):
        settings = {"model_name_or_path": base, "data": data, "output_dir": output_dir, **SETTINGS, **changes}
        return [f"{key}={value}" for key, value in settings.items()]

    return into


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, and what changes its size or makes it read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )

    try:
        if mount("size=1200k").returncode:
            pytest.skip("mounting is not permitted here")
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    try:
        yield folder, lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", folder], check=False)


def test_a_full_disk_leaves_the_last_good_checkpoint_to_go_on_from(arguments, tmp_path, small_disk):
    folder, change = small_disk
    ended = call(train, *arguments(folder / "run"))
    assert ended.status == 1, ended.err
    good = newest_complete(folder / "run")
    assert good.step in (2, 4)
    failed = f"error: {folder}/run/checkpoint-{good.step + 2} could not be written: "
    assert failed in ended.err and "MiB are free there" in ended.err
    assert f"{good.path} is untouched, and the same command goes on from there with resume=auto" in ended.err
    assert "Traceback" not in ended.err
    assert not (folder / "run" / f"checkpoint-{good.step + 2}").exists()

    change("size=20m")
    again = succeed(train, *arguments(folder / "run"))
    assert f"Continuing from {good.path}" in again.out
    succeed(train, *arguments(tmp_path / "whole"))
    for name in ("model.safetensors", "connection/connection.safetensors"):
        assert (folder / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_read_only_folder_is_named_before_anything_is_trained(arguments, small_disk):
    folder, change = small_disk
    change("ro")
    ended = call(train, *arguments(folder / "run"))
    assert ended.status == 1
    assert f"error: output_dir={folder}/run cannot be written: Read-only file system" in ended.err


def test_a_file_that_may_not_become_so_large(arguments, tmp_path):
    limit = 100_000  # bytes; the weights have more
    limited = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    ended = start("train.py", *arguments(tmp_path / "run"), folder=tmp_path, before=limited).wait()
    assert ended.status == 1, ended.err
    assert f"error: {tmp_path}/run/checkpoint-2 could not be written: " in ended.err
    assert "File too large" in ended.err
    assert "no earlier checkpoint was made, so the same command starts anew" in ended.err
    assert "Traceback" not in ended.err
    assert not list((tmp_path / "run").glob("checkpoint-*"))
