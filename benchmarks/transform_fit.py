"""The fit of the Transform Matrix against `np.linalg.lstsq` on the same rows.

python -m benchmarks.transform_fit [--d 2048 --layers 32 --pairs 1000 --repeats 1]

Ours chooses its ridge by cross-validation over 5 folds; lstsq has none. Each runs in a process of its own, by
turns. Memory is a process's highest resident set while it fits (VmHWM, reset when the fit begins) less what
it holds when the fit begins: imports and test data do not count. lstsq's process holds all rows then, since
it needs them at once; ours gets them in batches of 8 pairs, and the time to make them does not count.
Linux only.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.interleaved import parser_of, write_report
from benchmarks.peak_memory import peak, reset_peak
from cctuning.reporting.tables import RecordTable
from cctuning.transform.least_squares import LeastSquares

BATCH = 8  # pairs
HELD_OUT = 96  # pairs


def made_up_pairs(d: int, layers: int, start: int) -> tuple[Tensor, Tensor]:
    """F and F_en (BATCH, layers, d), float32: a linear relation with noise; dimensions of falling size."""
    shared = torch.randn(d, d, generator=torch.Generator().manual_seed(0)) / d**0.5
    noise = torch.Generator().manual_seed(1 + start)
    F = torch.randn(BATCH, layers, d, generator=noise) * torch.logspace(0, -2, d)
    return F, F @ shared + 0.1 * torch.randn(BATCH, layers, d, generator=noise)


def fit_by_lstsq(d: int, layers: int, pairs: int) -> dict[str, Any]:
    """The rival: all rows at once."""
    A, B = (np.empty((pairs, layers, d), dtype=np.float32) for _ in range(2))
    for start in range(0, pairs, BATCH):
        A[start : start + BATCH], B[start : start + BATCH] = made_up_pairs(d, layers, start)
    rows, targets = A.reshape(-1, d), B.reshape(-1, d)
    before = reset_peak()
    begin = time.perf_counter()
    weights = np.linalg.lstsq(rows, targets, rcond=None)[0]
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "bytes": peak() - before} | held_out(torch.from_numpy(weights), layers, pairs)


def fit_by_us(d: int, layers: int, pairs: int) -> dict[str, Any]:
    """Ours: batch after batch."""
    made_up_pairs(d, layers, 0)
    before = reset_peak()
    begin = time.perf_counter()
    fit = LeastSquares(d)
    seconds = time.perf_counter() - begin
    for start in range(0, pairs, BATCH):
        F, F_en = made_up_pairs(d, layers, start)
        begin = time.perf_counter()
        fit.update(F, F_en)
        seconds += time.perf_counter() - begin
    begin = time.perf_counter()
    weights = fit.solve()
    seconds += time.perf_counter() - begin
    return {"seconds": seconds, "bytes": peak() - before} | held_out(weights, layers, pairs)


def held_out(weights: Tensor, layers: int, first: int) -> dict[str, float]:
    """‖F W - F_en‖ / ‖F_en‖ over pairs that were not fitted."""
    errors, targets = [], []
    for start in range(first, first + HELD_OUT, BATCH):
        F, F_en = made_up_pairs(len(weights), layers, start)
        errors.append(float((F.double() @ weights.double() - F_en.double()).square().sum()))
        targets.append(float(F_en.double().square().sum()))
    return {"held_out_error": float(np.sqrt(sum(errors) / sum(targets)))}


METHODS = {"lstsq": fit_by_lstsq, "ours": fit_by_us}


def in_own_process(method: str, options: argparse.Namespace) -> dict[str, Any]:
    """The result of one method, run in a new process."""
    sizes = [f"--{name}={getattr(options, name)}" for name in ("d", "layers", "pairs")]
    command = [sys.executable, "-m", "benchmarks.transform_fit", f"--method={method}", *sizes]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def main() -> None:
    """Runs both by turns, prints the ratios, and writes them to outputs/benchmarks/transform_fit.json."""
    parser = parser_of(__doc__, d=2048, layers=32, pairs=1000, repeats=1)
    parser.add_argument(
        "--method", choices=METHODS, help="run one in this process, and print its result as JSON"
    )
    options = parser.parse_args()
    if options.pairs % BATCH:
        parser.error(f"--pairs={options.pairs} is not a multiple of {BATCH}")
    if options.method:
        print(json.dumps(METHODS[options.method](options.d, options.layers, options.pairs)))
        return

    runs = [{name: in_own_process(name, options) for name in METHODS} for _ in range(options.repeats)]
    result: dict[str, Any] = {"d": options.d, "rows": options.pairs * options.layers, "runs": runs}
    result |= {
        "times_faster": statistics.median(run["lstsq"]["seconds"] / run["ours"]["seconds"] for run in runs),
        "share_of_memory": statistics.median(run["ours"]["bytes"] / run["lstsq"]["bytes"] for run in runs),
        "held_out_error_ratio": runs[0]["ours"]["held_out_error"] / runs[0]["lstsq"]["held_out_error"],
    }
    show(result)
    print(write_report("transform_fit", [result]))


def show(result: dict[str, Any]) -> None:
    """A table of every run, and the ratios."""
    rows = [
        [name, f"{fit['seconds']:.1f}", f"{fit['bytes'] / 1e6:,.0f}", f"{fit['held_out_error']:.6f}"]
        for run in result["runs"]
        for name, fit in run.items()
    ]
    table = RecordTable(["", "seconds", "memory, MB", "held-out relative error"], rows)
    caption = (
        f"{result['times_faster']:.2f} times faster with {result['share_of_memory']:.3f} of the memory; "
        f"held-out error {result['held_out_error_ratio']:.6f} of the rival's"
    )
    title = f"{result['rows']:,} rows, d = {result['d']:,}"
    Console().print(table.screen(title=title, caption=caption))


if __name__ == "__main__":
    main()
