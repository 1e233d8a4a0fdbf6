"""Runs the demo's stages in parallel, and skips what an earlier call finished."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cctuning.tools import processes
from cctuning.tools.processes import Stage
from demo.stages import ROOT

# One thread per process: the stages share the cores among themselves.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MPLBACKEND": "Agg",
    "PYTHONUNBUFFERED": "1",
}


class StageError(RuntimeError):
    """A stage failed; the message holds the end of its log."""


def run_stages(
    stages: Sequence[Stage], fingerprints: Mapping[str, str], outputs: Path, *, jobs: int
) -> list[str]:
    """Runs what is not finished, at most `jobs` stages at a time; returns the names of those that ran.

    Each stage's output goes to OUTPUTS/logs/NAME.log. A stage that was stopped on the way starts anew.
    Raises `StageError` for the first stage that fails; the others are stopped, as on Ctrl-C.
    """
    stamps = {stage.name: outputs / "finished" / stage.name.replace("/", "-") for stage in stages}

    def is_finished(stage: Stage) -> bool:
        stamp = stamps[stage.name]
        same = stamp.is_file() and stamp.read_text() == fingerprints[stage.name]
        return same and stage.output.exists()

    def before(stage: Stage) -> None:
        stamps[stage.name].unlink(missing_ok=True)
        if stage.output.is_dir():
            shutil.rmtree(stage.output)
        stage.output.unlink(missing_ok=True)

    def after(stage: Stage) -> None:
        stamps[stage.name].parent.mkdir(parents=True, exist_ok=True)
        stamps[stage.name].write_text(fingerprints[stage.name])

    outcome = processes.run_stages(
        stages,
        finished=[stage.name for stage in stages if is_finished(stage)],
        logs=outputs / "logs",
        cwd=ROOT,
        jobs=jobs,
        environment=ENVIRONMENT,
        before=before,
        after=after,
    )
    if outcome.failed:
        raise StageError("\n".join(outcome.failed.values()))
    return outcome.ran
