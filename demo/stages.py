"""What the demo runs: for every seed the commands that a user would type, and what each of them needs."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cctuning.tools.processes import Stage
from demo.world import DATA

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "tiny.yaml"
# Fine-tunings of the same base model; the recipe itself is CC-Tuning with the Decision Maker.
RUNS: dict[str, list[str]] = {
    "sft": ["connection.enabled=false"],
    "decision_maker": [],
    "last_layer": ["connection.pooling=layer", "connection.layer=-1"],
}
CONNECTED = ("decision_maker", "last_layer")


def make_stages(
    seeds: Sequence[int], outputs: Path, *, base_steps: int, tuning_steps: int, overrides: Sequence[str] = ()
) -> list[Stage]:
    """All stages in an order in which they can run; `overrides` go to every fine-tuning.

    The base models come first: everything waits for them, and they take longest.
    """
    folders = {seed: outputs / f"seed{seed}" for seed in seeds}
    stages = [_base(folder, seed, base_steps) for seed, folder in folders.items()]
    for seed, folder in folders.items():
        own = []
        for run, settings in RUNS.items():
            own.append(_tuning(folder, seed, run, tuning_steps, [*settings, *overrides]))
            if run in CONNECTED:
                own.append(_fit(folder, seed, run))
        stages += [*own, _score(folder, seed, [stage.name for stage in own])]
    return stages


def _base(folder: Path, seed: int, steps: int) -> Stage:
    command = _python("-m", "demo.base", folder / "base", "--seed", seed, "--steps", steps)
    return Stage(f"seed{seed}/base", command, folder / "base", steps=steps)


def _tuning(folder: Path, seed: int, run: str, steps: int, overrides: Sequence[str]) -> Stage:
    command = _python(
        *("-m", "cctuning", "train"),
        "recipe=tiny",
        f"model_name_or_path={folder / 'base'}",
        f"output_dir={folder / run}",
        f"run_name=demo_{run}_seed{seed}",
        f"seed={seed}",
        f"max_steps={steps}",
        *overrides,
    )
    return Stage(f"seed{seed}/{run}", command, folder / run, (f"seed{seed}/base",), steps)


def _fit(folder: Path, seed: int, run: str) -> Stage:
    command = _python("-m", "cctuning", "fit", f"model={folder / run}", f"seed={seed}", "batch_size=64")
    return Stage(f"seed{seed}/{run}/fit", command, folder / run / "monolingual", (f"seed{seed}/{run}",))


def _score(folder: Path, seed: int, needs: Sequence[str]) -> Stage:
    command = _python("-m", "demo.score", folder)
    return Stage(f"seed{seed}/score", command, folder / "scores.json", tuple(needs))


def _python(*arguments: object) -> tuple[str, ...]:
    return (sys.executable, *map(str, arguments))


def tuning_steps() -> int:
    """The recipe's number of steps."""
    import yaml

    return int(yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["max_steps"])


def fingerprints(stages: Sequence[Stage]) -> Mapping[str, str]:
    """Per stage a digest of its command, of all it needs, and of the data, recipe and code behind them.

    A stage whose digest has changed since it was finished has to run again, and so have all that need it.
    """
    code = [path for folder in ("demo", "cctuning") for path in sorted((ROOT / folder).rglob("*.py"))]
    sources = [RECIPE, *sorted(DATA.glob("*.jsonl")), *code]
    # How results are shown may change without any stage's result changing.
    shown = {"__main__.py", "runner.py", "results.py", "figure.py", "stages.py"}
    common = hashlib.sha256(
        b"".join(path.read_bytes() for path in sources if path.name not in shown)
    ).hexdigest()
    digests: dict[str, str] = {}
    for stage in stages:
        parts = [common, *stage.command, *(digests[name] for name in stage.needs)]
        digests[stage.name] = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return digests
