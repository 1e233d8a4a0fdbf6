import errno
import logging
import signal

import pytest
import torch
from tqdm.auto import tqdm

from cctuning.commands.run import quiet_imports, run


def raising(error):
    def main():
        raise error

    return main


def ended(capsys, main, **options):
    """(exit status, standard error) of a script that does not end well."""
    with pytest.raises(SystemExit) as caught:
        run(main, **options)
    return caught.value.code, capsys.readouterr().err


def test_a_script_that_ends_well_says_nothing(capsys):
    done = []
    run(lambda: done.append(True))
    assert done and capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("cutoff_len: too small"),
        FileNotFoundError("rows.jsonl does not exist"),
        FloatingPointError("the loss is nan"),
        ImportError("you need to install flash_attn"),
    ],
)
def test_an_expected_error_is_one_line_and_status_1(capsys, error):
    assert ended(capsys, raising(error)) == (1, f"error: {error}\n")


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), AssertionError(), ModuleNotFoundError("no", name="numpy"), ImportError("no", name="x")],
)
def test_a_defect_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run(raising(error))


def test_with_the_debug_variable_every_error_does(monkeypatch):
    monkeypatch.setenv("CCTUNING_DEBUG", "1")
    with pytest.raises(ValueError, match="why"):
        run(raising(ValueError("why")))


def test_ctrl_c_ends_with_130_and_what_to_do_next(capsys):
    assert ended(capsys, raising(KeyboardInterrupt())) == (130, "\nstopped\n")
    status, said = ended(capsys, raising(KeyboardInterrupt()), stopped="stopped; call again")
    assert (status, said) == (130, "\nstopped; call again\n")


def test_an_error_does_not_end_up_in_the_middle_of_a_progress_bar(capsys):
    def main():
        for _ in tqdm(range(3)):
            raise ValueError("broken")

    _, said = ended(capsys, main)
    assert "error: broken" in said.replace("\r", "\n").splitlines()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:130] DefaultCPUAllocator: can't allocate memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_says_what_takes_less(capsys, error):
    status, said = ended(capsys, raising(error))
    assert status == 1
    assert said.startswith("error: out of memory: ")
    assert "batch_size" in said


def test_a_full_disk_names_the_file_and_what_is_free(capsys, tmp_path):
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "no" / "samples.jsonl"))
    status, said = ended(capsys, raising(error))
    assert status == 1
    assert f"{tmp_path}/no/samples.jsonl: No space left on device (" in said
    assert "MiB are free there" in said


@pytest.mark.usefixtures("heeds_a_hangup")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_a_process_end_it_in_good_order(capsys, number):
    def main():
        signal.raise_signal(number)

    assert ended(capsys, main, stopped="call again") == (128 + number, "\ncall again\n")


def test_under_nohup_work_goes_on(capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(lambda: signal.raise_signal(signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("used", [False, True])
def test_only_what_libraries_say_unasked_while_they_are_imported_is_left_out(used, monkeypatch):
    def get_accelerator():  # as DeepSpeed's own, from where it says that there is no GPU
        deepspeed.warning("no GPU")

    said = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    deepspeed, bitsandbytes = map(logging.getLogger, ("DeepSpeed", "bitsandbytes.backends.cpu.ops"))
    for logger in (deepspeed, bitsandbytes):
        monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true" if used else "false")
    quiet_imports()
    get_accelerator()
    deepspeed.warning("other news of DeepSpeed")
    bitsandbytes.warning("Failed to load CPU gemm_4bit_forward from kernels-community")
    bitsandbytes.warning("other news of bitsandbytes")
    expected = ["other news of DeepSpeed", "other news of bitsandbytes"]
    assert said == (["no GPU", *expected] if used else expected)
