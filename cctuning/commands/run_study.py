"""Trains, fits and evaluates a list of models, or probes them, and puts their results side by side."""

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence, Set
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cctuning.commands.result import Result
from cctuning.commands.schemas import StudyRecipe
from cctuning.commands.studies.figure import plot_lines
from cctuning.commands.studies.lines import read_lines
from cctuning.commands.studies.plan import Step, TableRow, make_plan
from cctuning.commands.studies.probe_tables import (
    PROBE_TABLES,
    compare_rows,
    read_probe_tables,
    write_probe_tables,
)
from cctuning.commands.studies.probes import make_probe_plan
from cctuning.commands.studies.state import State, states_of
from cctuning.commands.studies.table import (
    LEGEND,
    TABLES,
    costs_table,
    matrix_errors_table,
    screen_table,
    write_tables,
)
from cctuning.reporting.tables import NO_LINES
from cctuning.settings.changes import other_settings
from cctuning.tools.console import new_console
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import begin
from cctuning.tools.processes import Outcome, Stage, run_stages
from cctuning.training.runs import RunError

console = new_console()


def run_study(recipe: StudyRecipe) -> Result:
    """Runs what is not done, and writes the tables. Then raises `RunError` where a step failed.

    Raises `LockedError` where another process works at the study.
    """
    steps, rows = plan_of(recipe)
    with nullcontext() if recipe.dry_run else only_run_in(recipe.output_dir):
        return run_plan(recipe, steps, rows)


def plan_of(recipe: StudyRecipe) -> tuple[list[Step], list[TableRow]]:
    """The steps and rows of a study. Raises `RecipeError` for what one of its steps would refuse."""
    return make_probe_plan(recipe) if recipe.probes else make_plan(recipe)


def run_plan(recipe: StudyRecipe, steps: Sequence[Step], rows: Sequence[TableRow]) -> Result:
    """Runs the steps that are not done, and writes the tables; a dry run shows both."""
    states = states_of(steps)
    steps = [step.anew() if states[step.name].outdated else step for step in steps]
    if recipe.dry_run:
        show(recipe, steps, states)
        return Result()
    refuse_other_settings(steps, states)
    outcome = run_steps(recipe, steps, states)
    missing = {*outcome.failed, *outcome.left_out}
    report = show_probes(recipe, rows, missing) if recipe.probes else show_results(recipe, rows, missing)
    if outcome.failed:
        without = (
            f"\nnot run, for want of what failed: {', '.join(outcome.left_out)}" if outcome.left_out else ""
        )
        raise RunError("\n".join(outcome.failed.values()) + without)
    return Result(Path(recipe.output_dir), {"rows": report})


def show(recipe: StudyRecipe, steps: Sequence[Step], states: Mapping[str, State]) -> None:
    """The commands in their order, and which of them are done."""
    for step in steps:
        state = states[step.name]
        word = (
            "differs" if state.changed else "done" if state.done else "again" if state.outdated else "to do"
        )
        console.say(f"{word:<9} {step.shown(getattr(recipe.launch, step.kind))}")
        for line in state.changed:
            console.say(f"{'':<9}   {line}")
    done = sum(state.done for state in states.values())
    console.print(f"{len(steps)} steps, {done} done. Nothing was run.")


def refuse_other_settings(steps: Sequence[Step], states: Mapping[str, State]) -> None:
    """Raises `RunError` for complete results that were made with other settings: they may have cost days."""
    lines = [
        line
        for step in steps
        if (changed := states[step.name].changed)
        for line in (f"{step.output}:", *(f"  {line}" for line in changed))
    ]
    if lines:
        only_evaluations = all(step.kind == "evaluate" for step in steps if states[step.name].changed)
        elsewhere = (
            "Keep both with evaluate=[run_name=NAME,...], which names other folders in those of the models"
            if only_evaluations
            else "Write elsewhere with runs=FOLDER"
        )
        holds, remedy = "there are complete results", f"{elsewhere}, or remove the folders that are named"
        raise RunError(other_settings(holds, lines, remedy))


def run_steps(recipe: StudyRecipe, steps: Sequence[Step], states: Mapping[str, State]) -> Outcome:
    """Runs what is not done; each command is shown when it starts."""
    by_name = {step.name: step for step in steps}
    stages = [
        Stage(
            step.name,
            step.command(getattr(recipe.launch, step.kind)),
            step.output,
            step.needs,
            step.settings.get("max_steps") or 0,
        )
        for step in steps
    ]
    logs = Path(recipe.output_dir) / "logs"

    def before(stage: Stage) -> None:
        begin(recipe.output_dir, *(PROBE_TABLES if recipe.probes else TABLES))  # of what was there before
        step = by_name[stage.name]
        console.say(f"{stage.name}: {step.shown(getattr(recipe.launch, step.kind))}")

    console.say(f"{len(steps)} steps; what they print goes to {logs}")
    return run_stages(
        stages,
        finished=[name for name, state in states.items() if state.done],
        logs=logs,
        cwd=Path.cwd(),
        jobs=recipe.jobs,
        # Launchers such as accelerate lie beside the interpreter.
        environment={"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])},
        keep_going=True,
        before=before,
    )


def show_probes(recipe: StudyRecipe, rows: Sequence[TableRow], missing: Set[str]) -> list[Any]:
    """Prints and writes the tables of the probes that there are; returns their numbers."""
    present = [row for row in rows if missing.isdisjoint(step.name for step in row.evaluations)]
    if not present:
        return []
    folder = Path(recipe.output_dir)
    tables = read_probe_tables(present)
    write_probe_tables(tables, present, folder, title=recipe.run_name)
    for table in tables.screen():
        console.print(table)
    for line in tables.proposals:
        console.say(f"Where to connect: {line}")
    console.say(f"Written to {folder}: {', '.join(PROBE_TABLES)}")
    try:
        with console.status("comparing the rows"):
            comparison = compare_rows(present, folder / "comparison")
    except ValueError as error:  # no questions in common
        console.warn(f"the rows are not compared: {error}")
    else:
        if comparison is not None:
            console.say(f"{folder / 'comparison'} compares them question by question")
    return tables.records


def show_results(recipe: StudyRecipe, rows: Sequence[TableRow], missing: Set[str]) -> list[Any]:
    """Prints and writes the tables, of the rows that there are; returns their lines."""
    present = [
        row
        if missing.isdisjoint(step.name for step in row.matrix_errors)
        else dataclasses.replace(row, matrix_errors=())
        for row in rows
        if missing.isdisjoint(step.name for step in row.evaluations)
    ]
    if not present:
        return []
    with console.status("comparing the rows"):
        lines, warnings = read_lines(present)
    folder = Path(recipe.output_dir)
    plot_lines(lines, [folder / "scores.png", folder / "scores.svg"], title=recipe.run_name)
    write_tables(lines, folder, title=recipe.run_name)
    console.print(screen_table(lines, recipe.run_name))
    console.print(LEGEND)
    for table in (matrix_errors_table(lines), costs_table(lines)):
        if table.rows:
            console.print(table.screen(**NO_LINES))
    for warning in warnings:
        console.warn(warning)
    console.say(f"Written to {folder}: {', '.join(TABLES)}, scores.png, scores.svg")
    return [dataclasses.asdict(line) for line in lines]
