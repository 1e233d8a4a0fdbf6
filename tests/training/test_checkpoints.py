import errno
import hashlib
import json
import os
import stat

import pytest

from cctuning.training.checkpoints import (
    MARKER,
    CheckpointError,
    check,
    checkpoint_folders,
    newest_complete,
    remove_old,
    seal,
    write_failures_explained,
)


def a_checkpoint(output_dir, step, *, sealed=True):
    folder = output_dir / f"checkpoint-{step}"
    (folder / "shards").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(os.urandom(1000))
    (folder / "shards" / "0.data").write_bytes(os.urandom(500))
    if sealed:
        seal(folder, step=step, engine="ddp", processes=2)
    return folder


def test_the_marker_holds_the_size_and_sha256_of_every_file(tmp_path):
    folder = a_checkpoint(tmp_path, 3)
    marker = json.loads((folder / MARKER).read_text())
    assert set(marker["files"]) == {"model.safetensors", "shards/0.data"}
    for name, said in marker["files"].items():
        content = (folder / name).read_bytes()
        assert said == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    found = check(folder)
    assert (found.path, found.step, found.engine, found.processes) == (folder, 3, "ddp", 2)


def flip_a_bit(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[700] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def marker_with(**changes):
    def change(folder):
        marker = json.loads((folder / MARKER).read_text())
        (folder / MARKER).write_text(json.dumps(marker | changes))

    return change


DAMAGES = {
    "no marker": (
        lambda folder: (folder / MARKER).unlink(),
        "complete.json is missing, it was not written to its end",
    ),
    "half a marker": (
        lambda folder: (folder / MARKER).write_text((folder / MARKER).read_text()[:70]),
        "complete.json is broken",
    ),
    "a marker of another kind": (marker_with(files=[1]), "complete.json is broken"),
    "a marker without files": (marker_with(files={}), "complete.json is broken"),
    "a file outside": (
        marker_with(files={"../other": {"bytes": 0, "sha256": ""}}),
        "complete.json names ../other, which lies outside of the folder",
    ),
    "a missing file": (lambda folder: (folder / "shards" / "0.data").unlink(), "shards/0.data is missing"),
    "a short file": (
        lambda folder: os.truncate(folder / "model.safetensors", 999),
        "model.safetensors has 999 bytes, and had 1,000",
    ),
    "one bit": (flip_a_bit, "model.safetensors is damaged, its checksum is not that of the marker"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path, damage):
    good, bad = a_checkpoint(tmp_path, 9), a_checkpoint(tmp_path, 10)
    do, said = DAMAGES[damage]
    do(bad)
    passed_over = []
    assert newest_complete(tmp_path, passed_over.append).path == good
    assert [str(error) for error in passed_over] == [f"{bad}: {said}"]


def test_without_a_complete_one_there_is_none(tmp_path):
    a_checkpoint(tmp_path, 1, sealed=False)
    assert newest_complete(tmp_path) is None
    assert newest_complete(tmp_path / "missing") is None


def test_folders_are_ordered_by_step_and_only_checkpoints(tmp_path):
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-old", "checkpoint-"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-11").write_text("a file")
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["checkpoint-10", "checkpoint-9"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_marked_checkpoints_count_towards_the_limit(tmp_path):
    a_checkpoint(tmp_path, 1)
    a_checkpoint(tmp_path, 2, sealed=False)
    newest = a_checkpoint(tmp_path, 3)
    remove_old(tmp_path, 2, newest)
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-3"]
    remove_old(tmp_path, 1, newest)
    assert names(tmp_path) == ["checkpoint-3"]


def test_a_damaged_checkpoint_with_its_marker_never_outlives_the_good_ones(tmp_path):
    a_checkpoint(tmp_path, 20)
    flip_a_bit(a_checkpoint(tmp_path, 30))
    assert newest_complete(tmp_path).step == 20
    remove_old(tmp_path, 1, a_checkpoint(tmp_path, 23))  # the run went on from 20
    assert newest_complete(tmp_path).step == 23
    assert names(tmp_path) == ["checkpoint-23"]


def test_all_are_kept_without_a_limit_and_the_best_one_always(tmp_path):
    newest = [a_checkpoint(tmp_path, step) for step in (1, 2, 3)][-1]
    remove_old(tmp_path, None, newest)
    assert len(names(tmp_path)) == 3
    remove_old(tmp_path, None, tmp_path / "checkpoint-2")  # from where another line goes on
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2"]
    newest = a_checkpoint(tmp_path, 3)
    remove_old(tmp_path, 1, newest, protected=str(tmp_path / "checkpoint-1"))
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-3"]


def failing(error):
    def fail(folder):
        with write_failures_explained(folder.parent, 6):
            folder.mkdir()
            (folder / "model.safetensors").write_text("half")
            raise error

    return fail


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"No space left .*MiB are free there: make room"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), "unexpected"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"), "write failed"),
    ],
    ids=["full", "read-only", "torch's", "torch's other"],
)
def test_a_failed_write_is_explained_and_leaves_the_last_good_checkpoint(tmp_path, error, said):
    good = a_checkpoint(tmp_path, 5)
    with pytest.raises(CheckpointError, match=said) as caught:
        failing(error)(tmp_path / "checkpoint-6")
    assert str(caught.value).startswith(f"{tmp_path}/checkpoint-6 could not be written: ")
    assert f"{good} is untouched, and the same command goes on from there with resume=auto" in str(
        caught.value
    )
    assert names(tmp_path) == ["checkpoint-5"] and check(good)


def test_a_failed_first_write_says_that_nothing_was_saved_yet(tmp_path):
    with pytest.raises(
        CheckpointError, match="no earlier checkpoint was made, so the same command starts anew"
    ):
        failing(OSError(errno.EIO, "Input/output error"))(tmp_path / "checkpoint-6")


def test_a_failure_to_write_the_model_at_the_end_leaves_the_last_checkpoint(tmp_path):
    good = a_checkpoint(tmp_path, 6)
    said = f"the model in {tmp_path} could not be written: File too large .*; {good} is untouched"
    with pytest.raises(CheckpointError, match=said), write_failures_explained(tmp_path):
        raise OSError(errno.EFBIG, "File too large")
    assert check(good)


def test_an_error_that_is_not_about_writing_stays_as_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"):
        failing(RuntimeError("shapes do not match"))(tmp_path / "checkpoint-6")
    assert stat.S_ISDIR((tmp_path / "checkpoint-6").stat().st_mode)
