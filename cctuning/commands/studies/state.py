"""Steps of a study that are done: their results are complete, and were made with the same settings."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cctuning.analysis.study_files import SETTINGS_FILE as PROBE_FILE
from cctuning.commands.registry import COMMANDS
from cctuning.commands.studies.plan import Step
from cctuning.evaluation.asking.store import SETTINGS_FILE
from cctuning.pretrained.identity import ORIGIN_FILE, comparable, identity_of
from cctuning.pretrained.kinds import read_json_object
from cctuning.settings.changes import changed_settings
from cctuning.training.runs import RECIPE_FILE, RunError


@dataclass(frozen=True)
class State:
    """Progress of a step."""

    done: bool
    outdated: bool = False  # what is there was made of a result that has been, or will be, made anew
    changed: Sequence[str] = ()  # settings of a complete result that are others now


def states_of(steps: Sequence[Step]) -> dict[str, State]:
    """The state of each step by its name.

    Raises `RunError` for a complete result whose settings cannot be read. What data files hold is not
    compared.
    """
    marks = {step.name: step.mark for step in steps}
    identity = functools.cache(identity_of)  # several steps have the same model
    states: dict[str, State] = {}
    for step in steps:
        begun = _begun(step)
        outdated = begun.is_file() and any(
            not states[name].done
            or (marks[name].is_file() and begun.stat().st_mtime_ns < marks[name].stat().st_mtime_ns)
            for name in step.needs
        )
        states[step.name] = _state(step, identity, outdated=outdated)
    return states


def _state(step: Step, identity: Callable[..., dict[str, Any]], *, outdated: bool) -> State:
    if not step.mark.is_file():
        return State(False, outdated)
    schema = COMMANDS[step.kind].schema
    changed = changed_settings(step.kind, _settings_of(step), step.settings, schema=schema)
    if not outdated:
        changed += _other_model(step, identity)
    if changed and step.kind == "probe":  # more languages, say: the probe goes on, or refuses by itself
        return State(False)
    if changed and step.settings.get("resume") == "never":  # asked for, and the script deletes what is there
        return State(False)
    return State(not (outdated or changed), outdated, changed)


def _other_model(step: Step, identity: Callable[..., dict[str, Any]]) -> list[str]:
    """The differences between the model that a complete result was made by and the one that is there now."""
    if step.kind == "train":
        then = read_json_object(step.output / ORIGIN_FILE).get("base_model")
        name, revision = step.settings["model_name_or_path"], step.settings["model_revision"]
    else:
        path = step.output / PROBE_FILE if step.kind == "probe" else step.mark
        content = read_json_object(path)
        then = (content.get("config", {}) if step.kind == "evaluate" else content).get("model_parts")
        name, revision = step.settings["model"], None
    if not then:  # an older version wrote it
        return []
    now = identity(name, revision=revision)
    parts = comparable(then, now), comparable(now, then)
    return changed_settings(step.kind, *({"model_parts": known} for known in parts))


def _begun(step: Step) -> Path:
    """A file that the step wrote when it began; one that it wrote at its end where it wrote none before."""
    settings = step.output / SETTINGS_FILE
    return settings if step.kind == "evaluate" and settings.is_file() else step.mark


def _settings_of(step: Step) -> Mapping[str, Any]:
    """The settings that a complete result was made with."""
    path = step.mark if step.kind == "fit" else step.output / RECIPE_FILE
    try:
        text = path.read_text(encoding="utf-8")
        settings = json.loads(text)["settings"] if step.kind == "fit" else yaml.safe_load(text)
    except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise RunError(
            f"{step.output} holds {step.mark.name}, but {path} does not say how it was made "
            f"({type(error).__name__}: {error}): remove {step.output}, or write elsewhere with runs="
        ) from error
    if not isinstance(settings, dict):
        raise RunError(f"{path} holds no settings: remove {step.output}, or write elsewhere with runs=")
    return settings
