"""Compares result folders of evaluations on the same questions; the first one is the baseline."""

from pathlib import Path

from cctuning.analysis.probing.comparable import read_probe
from cctuning.analysis.study_files import is_study
from cctuning.commands.result import Result
from cctuning.commands.schemas import CompareRecipe
from cctuning.evaluation.comparison.compare import Comparison, compare
from cctuning.evaluation.comparison.evaluations import name_evaluations, read_evaluation
from cctuning.evaluation.comparison.figures import plot_comparison
from cctuning.evaluation.comparison.tables import (
    csv_text,
    details_table,
    legend,
    markdown_text,
    overview_table,
)
from cctuning.tools.console import new_console
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import begin, finish
from cctuning.tools.progress import tracked

COMPARISON_FILE = "comparison.json"

console = new_console()


def compare_results(recipe: CompareRecipe) -> Result:
    """Reads the folders, compares them, and writes and prints what came out.

    Raises `ValueError` or `OSError` for folders that hold no results, or results that cannot be compared.
    """
    folders = tracked(recipe.results, "results read", console=console)
    evaluations = [read_probe(folder) if is_study(folder) else read_evaluation(folder) for folder in folders]
    names = name_evaluations(evaluations, recipe.names)
    with console.status("resampling the questions"):
        comparison = compare(
            evaluations, names, common_only=recipe.common_only, resamples=recipe.resamples, seed=recipe.seed
        )
    folder = Path(recipe.output_dir)
    with only_run_in(folder):
        write_comparison(folder, comparison, recipe.metric)
    console.print(details_table(comparison, metric=recipe.metric, width=console.width))
    console.print()
    console.print(overview_table(comparison, metric=recipe.metric))
    console.print(legend(comparison))
    for warning in comparison.warnings:
        console.warn(warning)
    console.say(f"{folder} holds comparison.md, .csv, .json, .png and .svg")
    return Result(folder, comparison.as_json())


def write_comparison(folder: Path, comparison: Comparison, metric: str | None) -> None:
    """All of it as CSV and, last, JSON; tables and figure of the metric that is shown."""
    shown = markdown_text(comparison, metric=metric)
    begin(folder, COMPARISON_FILE)
    write_whole(folder / "comparison.md", shown)
    write_whole(folder / "comparison.csv", csv_text(comparison))
    plot_comparison(comparison, [folder / "comparison.png", folder / "comparison.svg"], metric=metric)
    finish(folder, COMPARISON_FILE, to_json(comparison.as_json(), indent=2) + "\n")
