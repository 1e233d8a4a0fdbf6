"""Times two or more things by turns, so that whatever else the machine does falls on all of them."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from cctuning.reporting.tables import Columns, RecordTable


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


def parser_of(doc: str | None, **numbers: int) -> argparse.ArgumentParser:
    """The command line of a benchmark: an option for each whole number, `new_tokens=40` as --new-tokens."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser


def ratio_columns(rival: str, ours: str, digits: int = 3) -> Columns:
    """The columns of a `Ratio` in a table of results."""
    return {
        f"{rival}, s": lambda row: f"{row['rival_seconds']:.2f}",
        f"{ours}, s": lambda row: f"{row['our_seconds']:.2f}",
        "ratio": lambda row: f"{row['ratio']:.{digits}f}",
        "quartiles": lambda row: " to ".join(f"{quartile:.{digits}f}" for quartile in row["quartiles"]),
    }


def report(name: str, columns: Columns, results: list[dict[str, Any]], title: str = "") -> None:
    """Prints the results as a table, and writes them."""
    Console().print(RecordTable.of(columns, results).screen(title=title or None))
    print(write_report(name, results))


def write_report(name: str, results: list[dict[str, Any]]) -> Path:
    """`outputs/benchmarks/NAME.json`, with the machine and the versions that it was measured on."""
    path = Path("outputs/benchmarks") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine: dict[str, Any] = {"device": gpu or platform.processor() or platform.machine()}
    machine |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    path.write_text(json.dumps({**machine, "results": results}, indent=2) + "\n")
    return path


def as_row(ratio: Ratio, **settings: Any) -> dict[str, Any]:
    """One result: what was set and what was measured."""
    return {**settings, **asdict(ratio)}
