"""Probes a model with one question of one's own, without a benchmark: a map, a table, a lens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from cctuning.analysis.lens import draw
from cctuning.analysis.question.result import QuestionResult
from cctuning.analysis.question.xtransplant import XTransplant
from cctuning.analysis.study_files import QUESTION_FILE
from cctuning.commands.result import Result
from cctuning.commands.schemas import ProbeRecipe
from cctuning.data.preview import marked_prompt
from cctuning.data.prompts import PromptFormat
from cctuning.pretrained.identity import model_settings
from cctuning.pretrained.names import beside_model
from cctuning.reporting.plots import save
from cctuning.reporting.settings_table import settings_table
from cctuning.settings.recipe import save_recipe
from cctuning.tools.console import new_console
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import begin, finish, foreign_file

_SHOWN = 5  # pairs of a sub-layer on the screen

console = new_console()


def probe_question(recipe: ProbeRecipe, prompts: PromptFormat, load: Callable[[], Any]) -> Result:
    """Sweeps all pairs of layers on `recipe.question`, and writes what comes of it.

    `load` gives the model, on its device. Raises `ValueError` or `OSError` for texts that cannot be asked and
    for a folder that cannot be written.
    """
    assert recipe.question is not None and recipe.english is not None
    folder = Path(recipe.output_dir or beside_model(recipe.model, "probing", recipe.run_name))
    if recipe.dry_run:
        show(recipe, prompts, folder)
        return Result()
    if foreign := foreign_file(folder, QUESTION_FILE):
        raise ValueError(
            f"{folder} holds {foreign}, and no {QUESTION_FILE} of a question: set another output_dir"
        )
    with only_run_in(folder):
        probe = XTransplant(load(), prompts.tokenizer)
        with console.status(f"every layer into every layer, {', '.join(recipe.sublayers)}"):
            result = probe(
                recipe.english,
                recipe.question,
                recipe.answer,
                sublayers=recipe.sublayers,
                max_new_tokens=recipe.max_new_tokens,
                rows=recipe.rows,
                intervention=recipe.as_intervention(),
                also_targets=recipe.also_targets,
            )
        report = {"config": model_settings(recipe.model), **result.as_json()}
        write_result(folder, recipe, result, report)
    console.print(result.table(_SHOWN).screen(text=(0, 6), title=f"The {_SHOWN} best pairs"))
    console.say("source, target: layers, from 0. log p: of beginning with a right answer, nats")
    console.say(f"{folder} holds {QUESTION_FILE}, table.csv, map.png, map.svg{' and lens' * recipe.lens}")
    return Result(folder, report)


def write_result(folder: Path, recipe: ProbeRecipe, result: QuestionResult, report: dict[str, Any]) -> None:
    """Writes recipe, a table of all pairs, the maps, the best pair's lens and, last, all of it as JSON."""
    begin(folder, QUESTION_FILE)
    save_recipe(recipe, folder / "recipe.yaml")
    write_whole(folder / "table.csv", result.table().csv())
    save(result.figure(), folder / "map.png", folder / "map.svg")
    if recipe.lens:
        try:
            draw(folder / "lens", result.lens(*result.best(1)[0]))
        except ValueError as error:  # a picture more or less
            console.warn(f"no logit lens: {error}")
    finish(folder, QUESTION_FILE, to_json(report, indent=1) + "\n")


def show(recipe: ProbeRecipe, prompts: PromptFormat, folder: Path) -> None:
    """Prints what would be asked, without asking it."""
    console.print(settings_table(recipe, output_dir=str(folder)))
    assert recipe.question is not None and recipe.english is not None
    asked, source = prompts.prompts_ids([recipe.question, recipe.english])
    shown = [marked_prompt(prompts.tokenizer, ids) for ids in (asked, source)]
    heading = Text("\nsource, where activations come from:", style="bold")
    console.print(Panel(Group(shown[0], heading, shown[1]), subtitle=Text(" | ".join(recipe.answer))))
    console.print("Nothing was asked.")
