"""The steps of a study that probes: XTransplant for each of its models, and for each centre language."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from cctuning.commands.schemas import ProbeRecipe, StudyRecipe
from cctuning.commands.studies.plan import Step, TableRow, check_names, load_step
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.pretrained.names import beside_model
from cctuning.settings.assignments import RecipeError


def make_probe_plan(study: StudyRecipe) -> tuple[list[Step], list[TableRow]]:
    """A step for each model, centre and recipe of probe, and a row for each model and centre.

    Raises `RecipeError` for a recipe or setting that one of the steps would refuse.
    """
    if not study.models:
        raise RecipeError("probes= names recipes, and models= no model to probe")
    names = [Path(model).name for model in study.models]
    rows: list[TableRow] = []
    centres: Sequence[str | None] = study.centres or [None]
    for (model, name), centre in itertools.product(zip(study.models, names, strict=True), centres):
        title = (name if names.count(name) == 1 else model) + (f", centre {centre}" if centre else "")
        steps = tuple(_steps(study, title, model, centre))
        rows.append(TableRow(title, steps, rows[0].title if rows else None))
    every = [step for row in rows for step in row.evaluations]
    check_names(every)
    return every, rows


def _steps(study: StudyRecipe, title: str, model: str, centre: str | None) -> Iterator[Step]:
    """The probes of a model, each where `cctuning probe` would write it, of other centres beside it."""
    for name in study.probes:
        arguments = [f"recipe={name}", f"model={model}", *study.probe]
        arguments += [f"centre={centre}"] if centre else []
        recipe = load_step("probe", arguments, ProbeRecipe)
        for benchmark in recipe.benchmarks:
            find_benchmark(benchmark)
        folder = recipe.run_name + (f"_{centre}" if centre else "")
        output = beside_model(model, "probing", folder, runs=study.runs)
        arguments.append(f"output_dir={output}")
        recipe = load_step("probe", arguments, ProbeRecipe)
        yield Step(
            f"{title}/{recipe.run_name}", "probe", tuple(arguments), dataclasses.asdict(recipe), output
        )
