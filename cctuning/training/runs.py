"""Folders of training runs: which one is meant, what it is, and whether another run may go on in it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cctuning.connection.model import CONNECTION_WEIGHTS
from cctuning.distributed.engines import Engine
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.identity import ORIGIN_FILE
from cctuning.pretrained.kinds import (
    ADAPTER_FILE,
    CONNECTION_FILE,
    CONNECTION_FOLDER,
    EXPORT_FOLDER,
    QUANTIZATION_FILE,
    holds_model,
    kind_of,
    read_json_object,
)
from cctuning.settings.changes import changed_settings, other_settings, rounding_note
from cctuning.tools.marks import begin, missing_mark
from cctuning.training.checkpoints import (
    Checkpoint,
    CheckpointError,
    check,
    checkpoint_folders,
    newest_complete,
    remove,
)
from cctuning.training.metrics import METRICS_FILE

RECIPE_FILE = "recipe.yaml"
FINISHED_FILE = "training_report.json"  # written last, so it marks a finished run
FIT_REPORT_FILE = "transform_report.json"  # the same of a fit
ERRORS_FILE = "errors.json"  # the same of a Transform Matrix that was measured on benchmarks

# What the fit needs of a run's recipe. The rest of it is only shown.
_NEEDED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("run_name", "model_name_or_path", "data_split"), (str,)),
    **dict.fromkeys(("seed", "cutoff_len", "english_cutoff_len"), (int,)),
    **dict.fromkeys(("columns", "connection", "lora"), (dict,)),
    "data": (list,),
    "english": (list, type(None)),  # no run of an older version has these two
    "eval_share": (float, int, type(None)),
    "language": (str, type(None)),
    "max_rows": (int, type(None)),
}
# What a run leaves that would be taken for a part of the next one in the same folder.
_LEFT = (
    "checkpoint-*", METRICS_FILE, "rejects.jsonl", "training_loss.png", "chosen_layers.png",
    CONNECTION_FOLDER, CONNECTION_FILE, CONNECTION_WEIGHTS, ADAPTER_FILE, "adapter_model.safetensors",
    QUANTIZATION_FILE,
    "model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json",
)  # fmt: skip


class RunError(ValueError):
    """A run's folder that cannot be used for what was asked; the message says what to do."""


def find_newest_run(outputs: str | Path = "outputs") -> Path:
    """The CC-Tuning run under `outputs`, at any depth, that finished last.

    Raises `RunError` where there is none, telling an unfinished run from one without a connection.
    """
    finished = sorted(Path(outputs).rglob(FINISHED_FILE), key=lambda path: path.stat().st_mtime)
    connected = [path.parent for path in finished if kind_of(path.parent).run]
    if connected:
        return connected[-1]
    if finished:
        raise RunError(
            f"the runs under {outputs}/ were trained without a connection (ML-SFT): nothing to fit there"
        )
    begun = sorted({path.parent for path in Path(outputs).rglob(RECIPE_FILE)})
    hint = f"; {begun[-1]} has begun and not finished: run its cctuning train command again" if begun else ""
    raise RunError(
        f"no finished run under {outputs}/{hint}. Name one with model=DIR, or train with cctuning train first"
    )


def read_run_recipe(directory: str | Path) -> dict[str, Any]:
    """The resolved recipe of a run, as a plain dictionary. Raises `RunError` where it cannot be read."""
    path = Path(directory) / RECIPE_FILE
    if kind_of(directory).exported:
        raise RunError(f"{directory} is an exported model: name the run that it was made of")
    if not path.is_file():
        raise RunError(f"{path} is missing: {directory} was not written by cctuning train")
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(recipe, dict):
        raise RunError(f"{path} holds no `key: value` lines")
    return recipe


def check_settings(recipe: dict[str, Any], directory: str | Path) -> None:
    """Raises `RunError` where a run's recipe lacks what the fit needs of it, or holds another type there."""
    for name, kinds in _NEEDED.items():
        value = recipe.get(name)
        if type(value) not in kinds:
            expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            actual = f"is {value!r}" if name in recipe else "is missing"
            raise RunError(f"{Path(directory) / RECIPE_FILE}: {name} {actual}, and must be {expected}")


def check_trusted(directory: str | Path, trust_remote_code: bool) -> None:
    """Raises `RunError` for a run with code of its model's own, where running that was not asked for again.

    The folder may come from anybody, so its recipe alone decides nothing.
    """
    folder = model_folder(directory)
    if trust_remote_code or not (folder / RECIPE_FILE).is_file():
        return
    if read_run_recipe(folder).get("trust_remote_code"):
        raise RunError(
            f"{directory} was trained with trust_remote_code=true: its model needs code that came with it; "
            "look at that code, then say trust_remote_code=true here too"
        )


def check_base_model(model: str, output_dir: str | Path) -> None:
    """Raises `RunError` where `model`, if it is a folder, is none to train from, or not into `output_dir`."""
    path = Path(model)
    if path.is_dir() and path.resolve() == Path(output_dir).resolve():
        raise RunError(f"{model} is the model to train from and output_dir too, and would be overwritten")
    if path.is_dir() and Path(output_dir).resolve() in path.resolve().parents:
        raise RunError(
            f"{model} is the model to train from and lies in output_dir={output_dir}, whose old checkpoints "
            "are removed: move it, or choose another output_dir"
        )
    if holds_model(output_dir) and not (Path(output_dir) / RECIPE_FILE).is_file():
        raise RunError(f"output_dir={output_dir} holds another model, which the run would overwrite")
    kind = kind_of(path)
    if kind.exported:
        raise RunError(f"{model} is an exported model: train from the run that it was made of")
    if kind.adapter:
        raise RunError(f"{model} holds a LoRA adapter: train from its base model, or merge the two first")


def checkpoint_to_resume(
    output_dir: str | Path,
    recipe: dict[str, Any],
    resume: str,
    *,
    schema: type[Any] | None = None,
    origin: Mapping[str, Any] = {},
    warn: Callable[[str], object] = lambda note: None,
) -> Checkpoint | None:
    """The checkpoint that a run into `output_dir` starts from; None to start at the beginning.

    `resume`: auto (the newest complete checkpoint), never (none), or a checkpoint's path. `schema`: the
    dataclass of the recipe, by which one of an earlier version is compared. `origin`: what the run depends on
    beside its recipe, as `ORIGIN_FILE` keeps it. `warn` is called for each newer checkpoint that is
    incomplete or damaged, and for settings that may move the rest by rounding. Raises `RunError` where the
    folder holds a finished run, or one with other settings or of another base model, and `CheckpointError`
    where the checkpoint that was named does not count.
    """
    output_dir = Path(output_dir)
    refuse_others = functools.partial(
        _refuse_other_recipe, recipe=recipe, schema=schema, origin=origin, warn=warn
    )
    if resume == "never":
        return None
    if resume != "auto":
        return _named_checkpoint(Path(resume), output_dir, refuse_others)
    if (output_dir / FINISHED_FILE).is_file():
        steps = read_json_object(output_dir / FINISHED_FILE).get("steps", "?")
        raise RunError(
            f"{output_dir} holds a finished run ({steps} steps): choose another output_dir, or "
            "start anew in it with resume=never, which deletes it"
        )
    if _has_begun(output_dir):
        refuse_others(output_dir)
    return newest_complete(output_dir, lambda error: warn(f"passed over {error}"))


def _named_checkpoint(
    checkpoint: Path, output_dir: Path, refuse_others: Callable[[Path], object]
) -> Checkpoint:
    elsewhere = checkpoint.resolve().parent != output_dir.resolve()
    if elsewhere and (_has_begun(output_dir) or (output_dir / FINISHED_FILE).is_file()):
        raise RunError(
            f"{output_dir} holds a run already, and resume={checkpoint} lies elsewhere: go on with the one "
            "there by resume=auto, or choose another output_dir"
        )
    if (checkpoint.parent / RECIPE_FILE).is_file():
        refuse_others(checkpoint.parent)
    try:
        return check(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f"resume={error}") from error


def finished_run(output_dir: str | Path, recipe: Any) -> dict[str, Any]:
    """The report of the finished run in `output_dir`; empty where there is none, or it is to be deleted.

    Raises `RunError` where it was made with other settings than those of `recipe`, a dataclass.
    """
    output_dir = Path(output_dir)
    report = read_json_object(output_dir / FINISHED_FILE)
    if not report or missing_mark(output_dir) or recipe.resume == "never":
        return {}
    saved, wanted = read_run_recipe(output_dir), dataclasses.asdict(recipe)
    if changed := changed_settings("train", saved, wanted, schema=type(recipe)):
        remedy = "Choose another output_dir, or start anew in it with resume=never, which deletes it"
        raise RunError(other_settings(f"{output_dir} holds a finished run", changed, remedy))
    return report


def check_same_engine(checkpoint: Checkpoint, engine: Engine) -> str:
    """A note where the run goes on with another number of processes; "" where nothing differs.

    Raises `RunError` where `engine` cannot read what the checkpoint's engine wrote.
    """
    before = Engine(checkpoint.engine, checkpoint.processes)
    if before == dataclasses.replace(engine, offload=False):
        return ""
    plain = {"one", "ddp"}  # they write the same files
    if not ({before.name, engine.name} <= plain or before.name == engine.name == "fsdp2"):
        raise RunError(
            f"{checkpoint.path} was written by {before}, and this run is {engine}: go on with the same "
            "engine and number of processes, or start anew with resume=never, which deletes the checkpoints"
        )
    return (
        f"{checkpoint.path} was written by {before}, and this run is {engine}: the rows of each step are the "
        "same, but the noise is not, so the result is not exactly that of an uninterrupted run"
    )


def clear_output_dir(output_dir: str | Path, resume: str) -> None:
    """Takes away what no longer holds once a run begins: the finished mark, and with "never" the run itself.

    The run only in a folder that holds one of ours; its other files are somebody's.
    """
    output_dir = Path(output_dir)
    is_run = (output_dir / RECIPE_FILE).is_file()
    begin(output_dir, FINISHED_FILE)
    if not is_run or resume != "never":
        return
    if kind_of(output_dir / EXPORT_FOLDER).exported:
        remove(output_dir / EXPORT_FOLDER)  # made of the run that is deleted, and taken for the new one's
    for left in [path for pattern in _LEFT for path in output_dir.glob(pattern)]:
        remove(left) if left.is_dir() else left.unlink()


def _has_begun(output_dir: Path) -> bool:
    """Whether there is anything to lose: a log line, or a checkpoint."""
    metrics = output_dir / METRICS_FILE
    logged = metrics.is_file() and metrics.stat().st_size > 0
    return (output_dir / RECIPE_FILE).is_file() and (logged or bool(checkpoint_folders(output_dir)))


def _refuse_other_recipe(
    output_dir: Path,
    recipe: dict[str, Any],
    schema: type[Any] | None,
    origin: Mapping[str, Any],
    warn: Callable[[str], object],
) -> None:
    saved = read_run_recipe(output_dir)
    # A run that an older version began has none.
    known = read_json_object(output_dir / ORIGIN_FILE)
    wanted = {**recipe, **(origin if known else {})}
    if changed := changed_settings("train", {**saved, **known}, wanted, schema=schema):
        remedy = (
            "Choose another output_dir, or start anew in it with resume=never, which deletes its checkpoints"
        )
        raise RunError(other_settings(f"{output_dir} holds an unfinished run", changed, remedy))
    if note := rounding_note("train", saved, recipe):
        warn(note)
