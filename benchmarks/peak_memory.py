"""The most memory that something takes, beyond what is there before it begins."""

import ctypes
import gc
import multiprocessing
import re
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

_RESET = Path("/proc/self/clear_refs")


def reset_peak() -> int:
    """Makes the peak start from what is resident now, and returns that in bytes. Linux only."""
    _RESET.write_text("5")
    return peak()


def peak() -> int:
    """Highest resident set since the last reset, in bytes."""
    [kilobytes] = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


def extra_memory(prepare: Callable[[], Callable[[], Any]], device: torch.device) -> int | None:
    """Bytes at the peak of the call that `prepare` returns, less what is there when it is called.

    On a GPU, as torch's allocator counts them. On a CPU, the resident set of a process that is forked for
    this call alone: what `prepare` does, such as imports and a first small call, does not count. None where
    neither can be had (a CPU, and not Linux). Raises `RuntimeError` where that process dies.
    """
    if device.type == "cuda":
        call = prepare()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    if not _RESET.exists():
        return None
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(prepare, sender))
    process.start()
    sender.close()  # so that a child that died is the end of the pipe
    try:
        extra: int = receiver.recv()
    except EOFError:
        raise RuntimeError("the process in which memory is measured has died; why stands above") from None
    process.join()
    return extra


def _measure(prepare: Callable[[], Callable[[], Any]], sender: Connection) -> None:
    call = prepare()
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # what was taken and given back would be taken again, and not be seen
    before = reset_peak()
    call()
    sender.send(peak() - before)
