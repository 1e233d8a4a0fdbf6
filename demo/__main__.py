"""Trains, fits, exports and compares tiny models on a made-up parallel world: `make demo`.

What an earlier call finished is not done again. Results go to outputs/demo/: results.json, table.md,
results.png, and a folder per seed with its models.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from demo import base, figure, results
from demo.runner import StageError, run_stages
from demo.stages import ROOT, fingerprints, make_stages, tuning_steps

console = Console()


def main() -> None:
    """Runs all stages and shows what came out."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="one base model and its runs each"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs" / "demo")
    parser.add_argument("--base-steps", type=int, default=base.STEPS)
    parser.add_argument("--tuning-steps", type=int, default=tuning_steps())
    options = parser.parse_args()
    outputs = options.outputs.resolve()
    stages = make_stages(
        options.seeds, outputs, base_steps=options.base_steps, tuning_steps=options.tuning_steps
    )
    console.print(
        f"{len(stages)} stages for {len(options.seeds)} seeds, {options.jobs} at a time: base model, ML-SFT,"
        f" CC-Tuning with two poolings, their fits, scores. Logs: {outputs / 'logs'}",
        soft_wrap=True,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill stops the stages, as Ctrl-C does
    start = time.monotonic()
    try:
        ran = run_stages(stages, fingerprints(stages), outputs, jobs=options.jobs)
    except StageError as error:
        console.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nstopped; the same command continues with the stages that are not finished")
        sys.exit(130)
    console.print(f"{len(ran)} of {len(stages)} stages ran, in {time.monotonic() - start:.0f} s")
    show(options.seeds, outputs)


def show(seeds: list[int], outputs: Path) -> None:
    """Writes and prints the results of finished seeds."""
    scores = results.read_scores([outputs / f"seed{seed}" for seed in seeds])
    cells, background = results.gather(scores), results.background(scores)
    record = {"seeds": seeds, "cells": results.as_record(cells), "background": background, "scores": scores}
    (outputs / "results.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (outputs / "table.md").write_text(results.markdown(cells, len(seeds)), encoding="utf-8")
    figure.draw(cells, outputs / "results.png", seeds=len(seeds))
    console.print(results.table(cells, len(seeds)))
    for title, value in background.items():
        console.print(f"{title}: {value}")
    folder = outputs / f"seed{seeds[0]}" / "decision_maker" / "monolingual"
    console.print(f"\nWritten to {outputs}: results.json, table.md, results.png")
    console.print(f"Talk to an exported model: cctuning chat model={folder}", soft_wrap=True)


if __name__ == "__main__":
    main()
