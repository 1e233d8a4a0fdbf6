"""Times two things by turns, so that whatever else the machine does falls on both."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Ratio:
    """Seconds per call of both (medians), and the median ratio of neighbouring calls with its quartiles."""

    rival_seconds: float
    our_seconds: float
    ratio: float
    quartiles: tuple[float, float]


def compare(rival: Callable[[], Any], ours: Callable[[], Any], *, repeats: int, warmup: int = 2) -> Ratio:
    """Ours over the rival's: each is called `warmup` times, then both by turns `repeats` times."""
    for _ in range(warmup):
        rival(), ours()
    pairs = []
    for number in range(repeats):
        first, second = (rival, ours) if number % 2 == 0 else (ours, rival)
        times = seconds(first), seconds(second)
        pairs.append(times if number % 2 == 0 else times[::-1])
    ratios = sorted(our_time / rival_time for rival_time, our_time in pairs)
    low, middle, high = statistics.quantiles(ratios * 2 if repeats == 1 else ratios, n=4)
    rival_times, our_times = zip(*pairs, strict=True)
    return Ratio(statistics.median(rival_times), statistics.median(our_times), middle, (low, high))


def seconds(call: Callable[[], Any]) -> float:
    """Wall time of one call, with the GPU's work in it."""
    synchronise()
    start = time.perf_counter()
    call()
    synchronise()
    return time.perf_counter() - start


def synchronise() -> None:
    """Waits for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def write_report(name: str, results: list[dict[str, Any]]) -> Path:
    """`outputs/benchmarks/NAME.json`, with the machine and the versions that it was measured on."""
    path = Path("outputs/benchmarks") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else platform.processor() or platform.machine()
    )
    report = {
        "device": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "results": results,
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    return path


def as_row(ratio: Ratio, **settings: Any) -> dict[str, Any]:
    """One result: what was set and what was measured."""
    return {**settings, **asdict(ratio)}
