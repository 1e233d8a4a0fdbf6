"""Times two or more things by turns, so that whatever else the machine does falls on all of them."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
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
    times = by_turns({"rival": rival, "ours": ours}, repeats=repeats, warmup=warmup)
    return ratio_of(times["rival"], times["ours"])


def by_turns(
    calls: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    warmup: int = 0,
    measure: Callable[[Callable[[], Any]], float] | None = None,
) -> dict[str, list[float]]:
    """Seconds of `repeats` calls of each, after `warmup` others: by turns, another one first each time.

    `measure` makes a call and returns its seconds: wall time by default.
    """
    measure = measure or seconds
    for _ in range(warmup):
        for call in calls.values():
            call()
    order = list(calls)
    times: dict[str, list[float]] = {name: [] for name in order}
    for number in range(repeats):
        first = number % len(order)
        for name in order[first:] + order[:first]:
            times[name].append(measure(calls[name]))
    return times


def ratio_of(rival_times: Sequence[float], our_times: Sequence[float]) -> Ratio:
    """Ours over the rival's, from the times of calls that were neighbours."""
    ratios = sorted(ours / rival for rival, ours in zip(rival_times, our_times, strict=True))
    low, middle, high = statistics.quantiles(ratios * 2 if len(ratios) == 1 else ratios, n=4)
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
