"""How far training under each engine is from one process: losses and final weights, as docs/engines.md shows.

Usage: python -m tests.stress.engines (some minutes on two CPU cores)

The Decision Maker is trained and mixes the layers softly, without noise: which noise a row meets depends on
the process that it falls to, so runs with it are equally good and not the same. Rows differ in length, and a
step is two passes of two rows on each of two processes, or four passes of one process.
"""

import itertools
import tempfile
from pathlib import Path

from tests.distributed.engine_runs import ENGINES, SETTINGS, loss_deviation, run_on_two, weight_deviation
from tests.distributed.engine_worker import run
from tests.scripts import write_base, write_rows

STEPS = 8
KINDS = {
    f"{tuned}, checkpointing {checkpointing}": {
        "lora.enabled": str(tuned == "LoRA").lower(),
        "gradient_checkpointing": str(checkpointing == "on").lower(),
    }
    for tuned, checkpointing in itertools.product(("full", "LoRA"), ("off", "on"))
}


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        base, rows = write_base(root / "base"), write_rows(root / "rows.jsonl", 48)
        shared = SETTINGS | {"model_name_or_path": str(base), "data": str(rows), "max_steps": STEPS}
        for kind, changes in KINDS.items():
            ended = run({"settings": shared | changes | {"output_dir": str(root / "one" / kind)}})
            if ended["status"]:
                raise SystemExit(ended["err"])
        jobs = [
            {"engine": engine, "settings": shared | changes | {"output_dir": str(root / engine / kind)}}
            for engine in ENGINES
            for kind, changes in KINDS.items()
        ]
        for process in run_on_two(jobs, root, timeout=3600):
            failed = [one["err"] for one in process if one["status"]]
            if failed or len(process) < len(jobs):
                raise SystemExit(f"a run failed: {failed}")
        print(table(root))


def table(folder: Path) -> str:
    """Markdown: a line per engine, the deviation of losses and of weights for every kind of run."""
    lines = ["| | " + " | ".join(KINDS) + " |", "| --- |" + " --- |" * len(KINDS)]
    for engine in ENGINES:
        cells = []
        for kind in KINDS:
            own, reference = folder / engine / kind, folder / "one" / kind
            cells.append(f"{loss_deviation(own, reference):.0e} / {weight_deviation(own, reference):.0e}")
        lines.append(f"| {engine} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
