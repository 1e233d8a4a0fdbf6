"""Studies as evaluations: what `cctuning compare` needs to put several probes side by side."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cctuning.analysis.cells.store import read_cells
from cctuning.analysis.study_files import SUMMARY_FILE
from cctuning.analysis.transplant.interventions import REPLACE, Intervention
from cctuning.data.formats import json_records
from cctuning.evaluation.asking.sample_files import ResultsError
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.comparison.evaluations import Evaluation, TaskScores, fingerprint
from cctuning.stats.bootstrap import Id, ScoresById
from cctuning.tools.json_text import from_json

UPPER_BOUND, ORIGINAL, ALL_PAIRS = "upper_bound,paper", "original,pilot", "accuracy,all_pairs"

Place = tuple[str, str, str]  # sub-layer, benchmark, language


def read_probe(folder: str | Path) -> Evaluation:
    """A finished study: a task for each benchmark, sub-layer and language, and another of unseen questions.

    Scores of a pilot question: whether any pair answers it (`upper_bound,paper`), whether the model does as
    it is (`original,pilot`), and the share of pairs that do (`accuracy,all_pairs`). Of an unseen question
    those of the original and of each strategy (`overall,unseen`), which are shown by metric= alone.

    Raises `ResultsError` for a study that is not finished, and `CellsError` for damaged cells.
    """
    folder = Path(folder)
    try:
        summary = from_json((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
        places = [
            (grid["sublayer"], grid["benchmark"], grid["language"]) for grid in summary["about"]["grids"]
        ]
        named = ("prompting", "max_new_tokens", "template", "dtype")
        # Recipes of earlier versions have none of these.
        named_change = recipe.get("intervention", REPLACE.change)
        intervention = Intervention(named_change, recipe.get("scale", 1.0), recipe.get("positions", 1))
        how = "" if intervention == REPLACE else f", {intervention}"
        how += f", also {recipe['also_targets']} layers further" if recipe.get("also_targets") else ""
        how += ", likeliest options" if recipe.get("log_likelihood") else ""
        config = {"model_path": recipe["model"], "inference": f"centre {recipe['centre']}{how}"}
        config |= {name: recipe.get(name) for name in named}
        own = [name for name in recipe["benchmarks"] if name.endswith((".yaml", ".yml"))]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ResultsError(
            f"{folder} holds no finished study ({type(error).__name__}: {error}): give its command again"
        ) from error
    for name in own:
        find_benchmark(name)  # known by its name from now on
    tasks: dict[str, TaskScores] = {}
    for place in places:
        tasks |= _task(folder, "pilot", place, _pilot_scores(folder, place), UPPER_BOUND)
        if scores := _unseen_scores(folder, place, summary["choices"]):
            tasks |= _task(folder, "unseen", place, scores, "")
    return Evaluation(folder, config, tasks)


def _task(
    folder: Path, which: str, place: Place, scores: Mapping[str, ScoresById], main_metric: str
) -> dict[str, TaskScores]:
    sublayer, name, language = place
    benchmark = find_benchmark(name)
    questions: dict[Id, str] = {
        str(row["id"]): fingerprint({key: row[key] for key in ("prompt", "options")}, row["answers"])
        for row in _rows(folder / "questions" / which / f"{name}_{language}.jsonl")
    }
    suffix = "" if which == "pilot" else f", {which}"
    key = f"{name}_{sublayer}" if which == "pilot" else f"{name}_{sublayer}_{which}"
    task = TaskScores(
        benchmark=key,
        title=f"{benchmark.title}, {sublayer}{suffix}",
        language=language,
        parallel=benchmark.parallel,
        main_metric=main_metric,
        questions=questions,
        scores={
            metric: {id: by_id[id] for id in questions if id in by_id} for metric, by_id in scores.items()
        },
    )
    return {f"{key}_{language}": task}


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    for record in json_records(path):
        if record.fault:
            raise ResultsError(f"{path}, line {record.number}: {record.fault}")
        yield record.values


def _pilot_scores(folder: Path, place: Place) -> dict[str, ScoresById]:
    by_pair, original = _answers(folder.joinpath("cells", "pilot", *place))
    return {
        UPPER_BOUND: {id: float(any(right.values())) for id, right in by_pair.items()},
        ORIGINAL: original,
        ALL_PAIRS: {id: sum(right.values()) / len(right) for id, right in by_pair.items()},
    }


def _unseen_scores(folder: Path, place: Place, choices: Mapping[str, Any]) -> dict[str, ScoresById]:
    """The scores of the original and of each strategy; empty where there are no unseen questions."""
    cells = folder.joinpath("cells", "unseen_pairs", *place)
    if not cells.is_dir():
        cells = folder.joinpath("cells", "unseen", *place)
    if not cells.is_dir():
        return {}
    by_pair, original = _answers(cells)
    sublayer, benchmark, language = place
    scores: dict[str, ScoresById] = {"original,unseen": original}
    for strategy, choice in choices[sublayer][benchmark][language].items():
        pair = tuple(choice["pair"])
        scores[f"{strategy},unseen"] = {id: right[pair] for id, right in by_pair.items() if pair in right}
    return scores


def _answers(folder: Path) -> tuple[dict[Id, dict[tuple[int, int], float]], dict[Id, float]]:
    """By question id: 1 for right and 0 for wrong under each pair, and of the model as it is."""
    columns = ("question", "kind", "source_layer", "target_layer", "correct")
    table = read_cells(sorted(folder.glob("*.parquet")))
    by_pair: dict[Id, dict[tuple[int, int], float]] = {}
    original: dict[Id, float] = {}
    rows = zip(*(table[column].to_pylist() for column in columns), strict=True)
    for question, kind, source, target, correct in rows:
        if kind == "transplant":
            by_pair.setdefault(question, {})[source, target] = float(correct)
        else:
            original[question] = float(correct)
    return by_pair, original
