"""The commands as functions: `evaluate(recipe="xnli", model="outputs/mine")` is `cctuning evaluate ...`.

Each takes an object of its schema in `cctuning.commands.schemas`, or the name or path of a recipe and
settings by keyword (a group as a dict: `lora={"enabled": True}`), and returns a `Result`: what it wrote, and
where. A recipe or setting that cannot be used raises `RecipeError`, which is a `ValueError`.
"""

from pathlib import Path
from typing import Any

from cctuning.commands.other_commands import naming_other_commands
from cctuning.commands.registry import COMMANDS
from cctuning.commands.result import Result
from cctuning.commands.schemas import (
    ChatRecipe,
    CompareRecipe,
    EvaluateRecipe,
    FitRecipe,
    ProbeRecipe,
    ServeRecipe,
    StudyRecipe,
    TrainRecipe,
    VisualizeRecipe,
)
from cctuning.settings.recipe import recipe_from_call

__all__ = ["chat", "compare", "evaluate", "fit", "probe", "serve", "study", "train", "visualize"]


def _call(name: str, recipe: Any, settings: dict[str, Any]) -> Result:
    command = COMMANDS[name]
    with naming_other_commands(command):
        resolved = recipe_from_call(command.schema, recipe, settings, folder=command.recipes)
    return command.function()(resolved)


def train(recipe: TrainRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Fine-tunes a model. The report is that of `training_report.json`: steps, rows, languages, loss."""
    return _call("train", recipe, settings)


def fit(recipe: FitRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Fits the Transform Matrix of a run and exports the monolingual model to the result's folder."""
    return _call("fit", recipe, settings)


def evaluate(recipe: EvaluateRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Evaluates a model on benchmarks. The report is that of `results.json`."""
    return _call("evaluate", recipe, settings)


def compare(recipe: CompareRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Compares evaluations on the same questions. The report is that of `comparison.json`."""
    return _call("compare", recipe, settings)


def probe(recipe: ProbeRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Probes a model with XTransplant. The report is that of `summary.json`."""
    return _call("probe", recipe, settings)


def study(recipe: StudyRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Trains, fits and evaluates a list of models. The report has the table's rows."""
    return _call("study", recipe, settings)


def visualize(recipe: VisualizeRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Draws representations, chosen layers and losses into the result's folder."""
    return _call("visualize", recipe, settings)


def serve(recipe: ServeRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Serves a model over HTTP, until Ctrl-C ends it."""
    return _call("serve", recipe, settings)


def chat(recipe: ChatRecipe | str | Path | None = None, **settings: Any) -> Result:
    """Asks a model `question=`, or without one what is typed. The report has the answer."""
    return _call("chat", recipe, settings)
