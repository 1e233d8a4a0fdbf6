"""What a checkpoint's pickles may name. The hostile ones here make a folder when they are unpickled."""

import os
import pickle  # noqa: TID251  (to make what must be refused)
import zipfile
from collections import OrderedDict

import pytest
import torch

from cctuning import CCTuningTrainer
from cctuning.training.pickles import UnsafePickleError, check_pickles, foreign_globals, restricted_loading
from tests.training.test_trainer import EXAMPLES, TOKENIZER, arguments, connected_llama


class Trap:
    """Makes the folder `marker` when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def save(content, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path, **options)  # noqa: TID251
    return path


def refused(folder):
    with pytest.raises(UnsafePickleError) as caught:
        check_pickles(folder)
    return str(caught.value)


def unrestricted_load(path):
    return torch.load(path, weights_only=False)  # noqa: TID251


def test_the_trap_works(tmp_path):
    unrestricted_load(save(Trap(tmp_path / "sprung"), tmp_path / "optimizer.pt"))
    assert (tmp_path / "sprung").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        "optimizer.pt",
        "optimizer.bin",
        "rng_state_1.pth",
        "pytorch_model.bin",
        "SCHEDULER.PT",
        "global_step7/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt",
    ],
)
def test_a_function_that_is_not_allowed_is_named_with_its_file(tmp_path, name):
    save({"state": [torch.ones(2), {"deep": Trap(tmp_path / "sprung")}]}, tmp_path / "checkpoint" / name)
    message = refused(tmp_path / "checkpoint")
    assert message.startswith(
        f"{tmp_path}/checkpoint/{name} is a pickle that calls {os.mkdir.__module__}.mkdir"
    )
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_of_another_protocol_are_refused(tmp_path, protocol):
    """Their names may be put together on the stack, out of sight of who only reads the file."""
    save(Trap(tmp_path / "sprung"), tmp_path / "checkpoint/optimizer.pt", pickle_protocol=protocol)
    assert str(tmp_path / "checkpoint/optimizer.pt") in refused(tmp_path / "checkpoint")
    assert not (tmp_path / "sprung").exists()


def archive(path, code, **others):
    """A zip as torch reads it, with `code` as its pickle."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {"data.pkl": code, "version": b"3\n", "byteorder": b"little", **others}.items():
            file.writestr(f"archive/{name}", content)


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04c" + b"torch\nserialization.os.mkdir\nX\x01\x00\x00\x00x\x85R.",  # a name with dots
        b"\x80\x02(X\x05\x00\x00\x00posixq\x00X\x05\x00\x00\x00mkdirq\x010h\x00h\x01\x93.",  # names by memo
        b"\x80\x02(X\x01\x00\x00\x00xios\nmkdir\n.",  # INST, which imports and calls at once
        b"\x80\x02\x82\x01.",  # EXT1, a name from a registry
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",  # Python 2's name of the same
        b"\x80\x02cfunctools\npartial\n.",
        b"\x80\x02}",  # no end
        b"",
    ],
)
def test_hand_written_pickles(tmp_path, code):
    archive(tmp_path / "optimizer.pt", code)
    assert str(tmp_path / "optimizer.pt") in refused(tmp_path)


def test_what_is_no_zip_of_torch_is_refused(tmp_path):
    good = save({"weight": torch.ones(3)}, tmp_path / "good" / "optimizer.pt")
    check_pickles(tmp_path / "good")
    whole = good.read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("hello.txt", "hello")
    legacy = save({"weight": torch.ones(3)}, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    contents = {
        "raw": pickle.dumps({"weight": 1}),
        "legacy": legacy.read_bytes(),
        "zip": (tmp_path / "other.zip").read_bytes(),
        "text": b"not a checkpoint",
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "prefixed": b"\x80\x02}." + whole,
    }
    for name, content in contents.items():
        folder = tmp_path / f"{name}-folder"
        folder.mkdir()
        (folder / "optimizer.pt").write_bytes(content)
        assert "is not as torch.save writes it: " in refused(folder), name


def test_compiled_code_in_an_archive_is_refused(tmp_path):
    """`torch.load` would hand it to TorchScript."""
    archive(tmp_path / "optimizer.pt", b"\x80\x02}.", **{"constants.pkl": b"\x80\x02)."})
    assert "torchscript" in refused(tmp_path)


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp"])
def test_a_sharded_checkpoint_is_refused(tmp_path, name):
    (tmp_path / "pytorch_model_fsdp_0").mkdir()
    (tmp_path / "pytorch_model_fsdp_0" / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert "FULL_STATE_DICT" in refused(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_link_to_a_folder_is_refused_and_a_linked_file_looked_through(tmp_path):
    outside = save(Trap(tmp_path / "sprung"), tmp_path / "outside" / "optimizer.pt")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "optimizer.pt").symlink_to(outside)
    assert "mkdir" in refused(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "global_step1").symlink_to(outside.parent)
    assert refused(tmp_path / "folder").startswith(f"{tmp_path}/folder/global_step1 is a link to a folder")


@pytest.mark.parametrize("latest", ["../outside", "/tmp", ".", "..", "global_step2", ""])
def test_deepspeeds_latest_stays_inside(tmp_path, latest):
    (tmp_path / "global_step1").mkdir()
    (tmp_path / "latest").write_text("global_step1\n")
    check_pickles(tmp_path)
    (tmp_path / "latest").write_text(latest)
    assert f"names {latest!r}, which is no folder of this checkpoint" in refused(tmp_path)


def test_files_that_nobody_unpickles_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (tmp_path / "zero_to_fp32.py").write_text("raise SystemExit\n")
    check_pickles(tmp_path)


@pytest.mark.parametrize("optim", ["adamw_torch", "adafactor", "sgd"])
def test_checkpoints_of_a_run_pass_and_load_restricted(tmp_path, optim):
    settings = {"optim": optim, "save_strategy": "steps", "save_steps": 1, "lr_scheduler_type": "cosine"}
    for steps, checkpoint in ((1, None), (2, tmp_path / "checkpoint-1")):
        trainer = CCTuningTrainer(
            connected_llama(),
            arguments(tmp_path, max_steps=steps, **settings),
            train_dataset=EXAMPLES,
            processing_class=TOKENIZER,
        )
        with restricted_loading():
            trainer.train(resume_from_checkpoint=checkpoint)
        check_pickles(tmp_path / f"checkpoint-{steps}")
    assert {path.suffix for path in (tmp_path / "checkpoint-1").iterdir()} >= {".pt", ".pth"}


def deepspeed_state():
    """As ZeRO's `*_optim_states.pt` hold it."""
    scaler = pytest.importorskip("deepspeed.runtime.fp16.loss_scaler")
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    weight = torch.ones(4)
    weight.ds_id = 3  # its tensors carry attributes
    return {
        "optimizer_state_dict": {
            "loss_scaler": scaler.LossScaler(1.0),
            "zero_stage": ZeroStageEnum.gradients,
            "base_optimizer_state": {"state": {0: {"exp_avg": weight}}, "param_groups": [{"lr": 0.1}]},
            "param_slice_mappings": [OrderedDict(weight=fragment_address(numel=4, start=0))],
        },
        "ds_config": {"zero_optimization": {"stage": 2}},
    }


def test_deepspeeds_states_pass_and_load_restricted(tmp_path):
    path = save(deepspeed_state(), tmp_path / "global_step1/zero_pp_rank_0_mp_rank_00_optim_states.pt")
    check_pickles(tmp_path)
    with restricted_loading(deepspeed=True):
        loaded = unrestricted_load(path)["optimizer_state_dict"]
    assert loaded["zero_stage"] == 2 and loaded["loss_scaler"].loss_scale == 1.0
    assert loaded["param_slice_mappings"][0]["weight"].numel == 4
    assert loaded["base_optimizer_state"]["state"][0]["exp_avg"].tolist() == [1.0] * 4


def test_in_the_block_no_load_is_unrestricted(tmp_path):
    path = save(Trap(tmp_path / "sprung"), tmp_path / "optimizer.pt")
    assert foreign_globals(path) == [f"{os.mkdir.__module__}.mkdir"]
    before = dict(os.environ)
    with restricted_loading(), pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        unrestricted_load(path)
    assert not (tmp_path / "sprung").exists()
    assert dict(os.environ) == before
