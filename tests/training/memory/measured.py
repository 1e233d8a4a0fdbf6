"""The peak of the memory that a real training run takes on a CPU, as torch's own allocator counts it.

`torch.profiler` with `profile_memory=True` writes one event for each block that the allocator hands out or
takes back, with the sum of all that is out (`Total Allocated`). The profiler is on from before the model is
built until the end of the last step; the peak is read off behind the second step, when gradients, optimizer
states and an engine's buffers all exist. Nothing of cctuning.training.memory takes part in it.
"""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function
from transformers import TrainerCallback

STEPS = 3
SETTLED = "settled"


class Settled(TrainerCallback):
    """Marks the moment from which on the peak is read off: the end of the second step."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            with record_function(SETTLED):
                pass


def measured_peak(train: Callable[[], None], folder: Path) -> int:
    """Bytes at the peak of `train`, which builds a model and a trainer with a `Settled` callback."""
    gc.collect()  # what earlier runs left behind is not to be taken back while the profiler is on
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        train()
    path = folder / "trace.json"
    profiler.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    settled = min(event["ts"] for event in events if event.get("name") == SETTLED)
    blocks = [event for event in events if event.get("name") == "[memory]"]
    blocks = [event for event in blocks if event["args"]["Device Type"] == 0]
    first = min(blocks, key=lambda event: event["ts"])["args"]
    before = first["Total Allocated"] - first["Bytes"]  # it counts on from an earlier profiler's blocks
    return max(event["args"]["Total Allocated"] for event in blocks if event["ts"] > settled) - before
