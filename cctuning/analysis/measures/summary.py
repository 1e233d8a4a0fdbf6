"""All measures of a study as one dictionary, the content of summary.json: docs/xtransplant_measures.md."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Grid, each
from cctuning.analysis.measures.bounds import measure_bounds, numbers_of_tries
from cctuning.analysis.measures.categories import measure_categories
from cctuning.analysis.measures.centre import measure_centre
from cctuning.analysis.measures.chance import measure_chance
from cctuning.analysis.measures.checks import Groups, check_grids
from cctuning.analysis.measures.consistency import measure_consistency
from cctuning.analysis.measures.control import measure_control
from cctuning.analysis.measures.likelihood import measure_likelihood
from cctuning.analysis.measures.outcomes import measure_outcomes
from cctuning.analysis.measures.perplexity import EDGES, LEVELS, measure_perplexity
from cctuning.analysis.measures.proposals import propose
from cctuning.analysis.measures.strategies import choices, measure_strategies
from cctuning.analysis.measures.sublayers import measure_sublayers
from cctuning.analysis.measures.unseen import compare_unseen
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.comparison.evaluations import Evaluation
from cctuning.evaluation.items.item import Item
from cctuning.stats.bootstrap import RESAMPLES, generator
from cctuning.stats.estimates import Estimate, Estimates, Resampling

T = TypeVar("T")

MEASURES = (
    *("bounds", "strategies", "outcomes", "likelihood", "control"),
    *("categories", "consistency", "perplexity", "centre"),
)


def summarise(
    grids: Iterable[Grid],
    applied: Iterable[Applied] = (),
    *,
    control: Iterable[Grid] = (),
    items: Mapping[tuple[str, str], Sequence[Item]] | None = None,
    others: Mapping[str, Evaluation] | None = None,
    settings: Mapping[str, Any] | None = None,
    centre: str = "en",
    connectable: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Measures everything of the pilot `grids` and of what was `applied` to unseen questions.

    `control`: grids of the same questions with source prompts of others. `items`: the pilot questions by
    benchmark and language, in the grids' order; with them the bounds have their `chance_bound`. `others`:
    evaluations of the unseen questions by name, for `compare_unseen`. `settings`: how the study asked, to be
    compared with those of `others`. `centre`: the language that is the other one of each pair. `connectable`:
    a connection could make each of the changes, so where to make one is proposed. The result holds plain
    numbers, texts, lists and dictionaries, and None for NaN.

    Raises `ValueError` for a grid that is empty, broken, or there twice, and for an unknown benchmark.
    """
    groups = check_grids(grids)
    benchmarks = {name: find_benchmark(name) for _, name in groups}
    summary: dict[str, Any] = {"about": _about(groups, centre)}
    more = ("sublayers", "pairs", "choices", "unseen", "proposals")
    summary |= {measure: {} for measure in (*MEASURES, *more)}
    controls: dict[tuple[str, str], dict[str, Grid]] = {}
    for grid in control:
        controls.setdefault((grid.sublayer, grid.benchmark), {})[grid.language] = grid
    resamplings: dict[tuple[str, str], Resampling] = {}
    for (sublayer, name), group in groups.items():
        resampling = resamplings[sublayer, name] = Resampling(
            each(lambda grid: grid.questions, group),
            parallel=benchmarks[name].parallel,
            random=generator(seed, name),  # the same draws for every sub-layer
            resamples=resamples,
        )
        measured = _measured(group, controls.get((sublayer, name), {}), resampling, centre)
        if items is not None:
            questions = {language: items[name, language] for language in group}
            score = benchmarks[name].metrics[0].score
            measured["bounds"] |= measure_chance(group, questions, score, resampling, seed)
        for measure, quantities in measured.items():
            summary[measure].setdefault(sublayer, {})[name] = _plain(quantities)
        for measure, by_language in _chosen(group, seed).items():
            summary[measure].setdefault(sublayer, {})[name] = by_language
        for other, differences in _from_earlier(groups, sublayer, name, resampling).items():
            summary["sublayers"].setdefault(f"{sublayer}-{other}", {})[name] = _plain(differences)
    for name in benchmarks if connectable else ():
        of_name = _of_benchmark(groups, name), _of_benchmark(controls, name)
        if proposal := propose(*of_name, _of_benchmark(resamplings, name), centre):
            summary["proposals"][name] = _plain(asdict(proposal))
    for sublayer, together in _by_sublayer(applied).items():
        summary["unseen"][sublayer] = _plain(
            compare_unseen(together, others, settings=settings, centre=centre, seed=seed)
        )
    return summary


def _from_earlier(
    groups: Groups, sublayer: str, benchmark: str, resampling: Resampling
) -> dict[str, dict[str, Any]]:
    """A sub-layer's differences from each one before it, of a benchmark in the languages of both."""
    of_benchmark = _of_benchmark(groups, benchmark)
    group = of_benchmark[sublayer]
    differences: dict[str, dict[str, Any]] = {}
    for other in itertools.takewhile(lambda other: other != sublayer, of_benchmark):
        common = {language: grid for language, grid in of_benchmark[other].items() if language in group}
        differences[other] = measure_sublayers(common, group, resampling) if common else {}
    return differences


def _by_sublayer(applied: Iterable[Applied]) -> dict[str, list[Applied]]:
    together: dict[str, list[Applied]] = {}
    for answered in applied:
        together.setdefault(answered.sublayer, []).append(answered)
    return together


def _of_benchmark(of_each: Mapping[tuple[str, str], T], benchmark: str) -> dict[str, T]:
    """What there is of a benchmark, by sub-layer."""
    return {sublayer: value for (sublayer, name), value in of_each.items() if name == benchmark}


def _chosen(group: Mapping[str, Grid], seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """By language and strategy, the `choices`, and the `pairs` that are shown of them."""
    chosen = each(lambda grid: choices(grid, generator(seed, grid.benchmark, "choices")), group)
    return {
        "choices": {
            language: {strategy: _plain(asdict(choice)) for strategy, choice in by_strategy.items()}
            for language, by_strategy in chosen.items()
        },
        # Where all pairs are equally good none is chosen, and none is shown.
        "pairs": {
            language: {
                strategy: list(choice.pair)
                for strategy, choice in by_strategy.items()
                if choice.tied < choice.candidates
            }
            for language, by_strategy in chosen.items()
        },
    }


def _about(groups: Groups, centre: str) -> dict[str, Any]:
    every = [grid for group in groups.values() for grid in group.values()]
    layers = every[0].layers
    return {
        "centre": centre,
        "axes": {
            "source_layer": list(range(layers)),
            "target_layer": list(range(layers)),
            "tries": numbers_of_tries(layers),
            "level": list(LEVELS),
            "bin": list(EDGES),
        },
        "grids": [
            {
                "sublayer": grid.sublayer,
                "benchmark": grid.benchmark,
                "language": grid.language,
                "asked_in": grid.asked_in,
                "questions": len(grid.questions),
                "layers": grid.layers,
            }
            for grid in every
        ],
    }


def _measured(
    grids: Mapping[str, Grid], controls: Mapping[str, Grid], resampling: Resampling, centre: str
) -> dict[str, dict[str, Estimates]]:
    """The quantities of each measure of a benchmark."""
    return {
        "bounds": measure_bounds(grids, resampling),
        "strategies": measure_strategies(grids, resampling),
        "outcomes": measure_outcomes(grids, resampling),
        "likelihood": measure_likelihood(grids, resampling),
        "control": measure_control(grids, controls, resampling),
        "categories": measure_categories(grids, resampling),
        "consistency": measure_consistency(grids, resampling),
        "perplexity": measure_perplexity(grids, resampling),
        "centre": measure_centre(grids, centre, resampling),
    }


def _plain(content: Any) -> Any:
    """As JSON has it: dictionaries, lists, and None for NaN."""
    if isinstance(content, Estimate):
        return {
            "value": _plain(content.value),
            "low": _plain(content.low),
            "high": _plain(content.high),
            "questions": content.questions,
        }
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, np.ndarray):
        return _plain(content.tolist())
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
