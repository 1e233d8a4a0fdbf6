"""The end of a study of XTransplant: measures, figures, tables and the report, out of its saved cells."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.analysis.cells.grid import GridKey
from cctuning.analysis.figures import draw_figures
from cctuning.analysis.findings import StudyCells, judge, shown_by_lens, write_summary
from cctuning.analysis.measures.proposals import proposal_lines
from cctuning.analysis.measures.screen import screen_tables
from cctuning.analysis.measures.summary import summarise
from cctuning.analysis.probing.folder import question_rows
from cctuning.analysis.probing.lenses import draw_lenses
from cctuning.analysis.probing.load_tasks import count_known_issues
from cctuning.analysis.probing.shown_labels import unshown_labels
from cctuning.analysis.probing.study import CONTROL, PILOT, UNSEEN, StrategyPairs, Study
from cctuning.analysis.probing.tasks import ProbeTask
from cctuning.analysis.report import write_report
from cctuning.analysis.selectors import Judgement
from cctuning.analysis.transplant.interventions import REPLACE
from cctuning.commands.schemas import ProbeRecipe
from cctuning.evaluation.comparison.evaluations import Evaluation, read_evaluation
from cctuning.pretrained.identity import model_name
from cctuning.tools.console import new_console

console = new_console()


def write_findings(
    recipe: ProbeRecipe,
    study: Study,
    tasks: Mapping[str, Sequence[ProbeTask]],
    pairs: Mapping[GridKey, StrategyPairs],
    baselines: Mapping[str, Evaluation],
) -> dict[str, Any]:
    """Writes everything that is made of the cells, from their files; returns the summary.

    `tasks` are those of the pilot, the control and the unseen questions, by these names of `probing.study`.
    """
    folder = study.folder.path
    for which, probes in tasks.items():
        for task in probes:
            study.folder.write_questions(which, task)
    with console.status("measures and pair selectors"):
        cells = gather(recipe, study, tasks, pairs, baselines)
        # By the names that the settings have in the results of evaluations.
        asked = {name: getattr(recipe, name) for name in ("max_new_tokens", "template", "dtype")}
        summary = summarise(
            cells.grids.values(),
            cells.applied.values(),
            control=cells.control.values(),
            items=cells.items,
            others=cells.others,
            settings={"prompting": "original", **asked},
            centre=recipe.centre,
            connectable=why_not_connected(recipe) is None,
            seed=recipe.seed,
        )
        judgements = judge(cells, seed=recipe.seed)
        summary["about"]["warnings"] = warnings = unshown_labels([*tasks[PILOT], *tasks[UNSEEN]])
        study.folder.clear_findings()
    with console.status("figures and report"):
        draw_and_report(recipe, study, tasks, cells, summary, judgements)
        whole = write_summary(folder, summary, judgements)
    for warning in warnings:
        console.warn(warning)
    for table in screen_tables(summary):
        console.print(table)
    reason = why_not_connected(recipe) if tasks[CONTROL] else None
    for line in [reason] if reason else proposal_lines(summary["proposals"]):
        console.say(f"Where to connect: {line}")
    console.say(f"{folder} holds report.html, summary.json, tables, figures and all cells")
    return whole


def draw_and_report(
    recipe: ProbeRecipe,
    study: Study,
    tasks: Mapping[str, Sequence[ProbeTask]],
    cells: StudyCells,
    summary: Mapping[str, Any],
    judgements: Sequence[Judgement],
) -> None:
    """Draws the figures, with logit lenses where they are asked for, and writes the report on all of it."""
    folder, pilot = study.folder.path, tasks[PILOT]
    draw_figures(folder / "figures", summary, judgements)
    shown = shown_by_lens(cells, recipe.centre) if recipe.lens else {}
    lenses = {}
    try:
        lenses = draw_lenses(study, pilot, shown, folder / "figures")
    except ValueError as error:  # a picture more or less
        console.warn(f"no logit lens: {error}")
    questions = {(task.benchmark, task.language): question_rows(task) for task in pilot}
    write_report(
        folder,
        cells.grids.values(),
        summary,
        questions,
        judgements,
        title=f"XTransplant: {Path(recipe.model).name}",
        notes=[*notes(recipe, tasks), *summary["about"]["warnings"]],
        links=[
            (f"Logit lens: {title}", page.relative_to(folder).as_posix()) for title, page in lenses.items()
        ],
    )


def notes(recipe: ProbeRecipe, tasks: Mapping[str, Sequence[ProbeTask]]) -> list[str]:
    """Notes for a reader of the report."""
    lines = [f"Model {model_name(recipe.model)}, template {recipe.template}."]
    for which, data in ((PILOT, recipe.pilot), (UNSEEN, recipe.unseen)):
        probes = tasks[which]
        languages = dict.fromkeys(task.language for task in probes)
        left_out = sum(len({id for ids in task.item_set.left_out.values() for id in ids}) for task in probes)
        faulty = sum(count_known_issues(probes, str(data)).values())
        if probes:
            lines.append(
                f"{count(probes):,} {which} questions in {len(languages)} languages, from "
                f"{Path(str(data)).name}; {left_out:,} were left out, and {faulty:,} with known faults "
                "take part."
            )
    into_centre = {task.task.benchmark.title for task in tasks[PILOT] if task.asked_in != task.language}
    from_centre = {task.task.benchmark.title for task in tasks[PILOT]} - into_centre
    for titles, direction in (
        (from_centre, f"asked in each language, with activations from {recipe.centre}"),
        (into_centre, f"asked in {recipe.centre}, with activations from each language"),
    ):
        if titles:
            lines.append(f"{', '.join(sorted(titles))}: {direction}.")
    if (intervention := recipe.as_intervention()) != REPLACE:
        lines.append(f"Intervention: {intervention}.")
    if recipe.also_targets:
        further = ", ".join(map(str, recipe.also_targets))
        lines.append(f"Each output goes into the target layer and, at once, {further} layers further.")
    if tasks[CONTROL] and (reason := why_not_connected(recipe)):
        lines.append(f"Where to connect: {reason}.")
    elif tasks[CONTROL] and not recipe.intervention.startswith("add"):
        lines.append("A connection adds what it moves: intervention=add measures that for proposals.")
    answers = f"At most {recipe.max_new_tokens} new tokens, greedily."
    if recipe.log_likelihood:
        answers = "The answer is the likeliest option, by log-likelihood."
    return [*lines, f"{answers} Layers count from 0."]


def gather(
    recipe: ProbeRecipe,
    study: Study,
    tasks: Mapping[str, Sequence[ProbeTask]],
    pairs: Mapping[GridKey, StrategyPairs],
    baselines: Mapping[str, Evaluation],
) -> StudyCells:
    """All measurements of the study, and the evaluations to compare with."""
    folder = study.folder.path / "prompting"
    prompted = {
        name: read_evaluation(folder / name) for name in others_than_original(recipe) if tasks[UNSEEN]
    }
    whole = recipe.unseen_cells == "all"
    applied = study.applied(UNSEEN, tasks[UNSEEN], pairs, whole_grid=whole)
    kept = recipe.activations
    return StudyCells(
        grids=study.grids(PILOT, tasks[PILOT]),
        control=study.grids(CONTROL, tasks[CONTROL]),
        items={
            (task.benchmark, task.language): [question.item for question in task.task.questions]
            for task in tasks[PILOT]
        },
        activations=study.activations(PILOT, tasks[PILOT], whole_grid=True) if kept else {},
        applied=applied,
        unseen=study.grids(UNSEEN, tasks[UNSEEN]) if whole else applied,
        unseen_activations=study.activations(UNSEEN, tasks[UNSEEN], whole_grid=whole) if kept else {},
        others={**prompted, **baselines},
    )


def why_not_connected(recipe: ProbeRecipe) -> str | None:
    """The reason why no connection could make the changes that are measured; None where one could."""
    if recipe.centre != "en":
        return f"a connection is made from English prompts, not from those in {recipe.centre}"
    if recipe.positions > 1 or recipe.also_targets:
        return "a connection has one place: one position, and one target layer"
    return None


def others_than_original(recipe: ProbeRecipe) -> list[str]:
    """The promptings that have to be asked for themselves: every file of cells has the original."""
    return [prompting for prompting in recipe.prompting if prompting != "original"]


def count(probes: Sequence[ProbeTask]) -> int:
    """The number of questions."""
    return sum(len(probe.task.questions) for probe in probes)
