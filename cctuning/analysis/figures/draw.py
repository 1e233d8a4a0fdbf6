"""All figures of a study, from its summary alone: what summary.json holds can be drawn again."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cctuning.analysis.figures.bars import draw_categories, draw_outcomes
from cctuning.analysis.figures.heatmaps import draw_control, draw_heatmaps, draw_layer_gains, draw_likelihood
from cctuning.analysis.figures.layers import draw_bounds, draw_gains
from cctuning.analysis.figures.methods import draw_selectors, draw_unseen
from cctuning.analysis.figures.perplexities import draw_perplexities
from cctuning.analysis.figures.tries import draw_tries
from cctuning.analysis.selectors import Judgement
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.reporting.plots import save, style

FORMATS = ("png", "svg")


def draw_figures(
    folder: str | Path, summary: Mapping[str, Any], judgements: Sequence[Judgement] = ()
) -> list[Path]:
    """Writes every figure of a study into `folder`, as PNG and SVG, and returns their paths.

    Each is called by what it shows, its benchmark and its sub-layer: `heatmaps_xnli_ffn.svg`. The same
    content gives the same bytes. Raises `OSError`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with style():
        for name, figure in chain(_of_measures(summary), _of_methods(summary, judgements)):
            written = [folder / f"{name}.{ending}" for ending in FORMATS]
            save(figure, *written)
            paths += written
    return paths


def _of_measures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    axes = summary["about"]["axes"]
    for sublayer, benchmarks in summary["bounds"].items():
        for benchmark, bounds in benchmarks.items():
            place = f"{benchmark}_{sublayer}"
            title = _title(benchmark, sublayer, "pilot")
            outcomes = summary["outcomes"][sublayer][benchmark]
            pairs = summary["pairs"][sublayer][benchmark]
            yield f"heatmaps_{place}", draw_heatmaps(outcomes["gain_by_pair"], pairs, title)
            yield f"layer_gains_{place}", draw_layer_gains(outcomes, title)
            if likelihood := summary.get("likelihood", {}).get(sublayer, {}).get(benchmark):
                changes = likelihood["right_log_probability_change_by_pair"]
                yield f"likelihood_{place}", draw_likelihood(changes, pairs, title)
            if control := summary.get("control", {}).get(sublayer, {}).get(benchmark):
                differences = control["over_control_log_probability_by_pair"]
                yield f"control_{place}", draw_control(differences, title)
            yield f"bounds_{place}", draw_bounds(bounds, title)
            yield f"tries_{place}", draw_tries(bounds, axes["tries"], title)
            yield f"outcomes_{place}", draw_outcomes(outcomes, title)
            yield f"categories_{place}", draw_categories(summary["categories"][sublayer][benchmark], title)
            perplexities = draw_perplexities(summary["perplexity"][sublayer][benchmark], axes["bin"], title)
            if perplexities is not None:
                yield f"perplexities_{place}", perplexities
    for benchmark in dict.fromkeys(
        name for by_benchmark in summary["outcomes"].values() for name in by_benchmark
    ):
        by_sublayer = {
            sublayer: benchmarks[benchmark]
            for sublayer, benchmarks in summary["outcomes"].items()
            if benchmark in benchmarks
        }
        yield (
            f"gains_{benchmark}",
            draw_gains(by_sublayer, _title(benchmark, " and ".join(by_sublayer), "pilot")),
        )


def _of_methods(summary: Mapping[str, Any], judgements: Sequence[Judgement]) -> Iterator[tuple[str, Figure]]:
    for sublayer, content in summary["unseen"].items():
        scores = [score for score in content["scores"] if score["benchmark"] != "average"]
        for benchmark in dict.fromkeys(score["benchmark"] for score in scores):
            of_benchmark = [score for score in scores if score["benchmark"] == benchmark]
            yield (
                f"unseen_{benchmark}_{sublayer}",
                draw_unseen(of_benchmark, _title(benchmark, sublayer, "unseen")),
            )
    for judgement in judgements:
        questions = "unseen" if judgement.unseen else "pilot"
        name = f"selectors_{judgement.benchmark}_{judgement.sublayer}_{questions}"
        yield name, draw_selectors(judgement, _title(judgement.benchmark, judgement.sublayer, questions))


def _title(benchmark: str, sublayer: str, questions: str) -> str:
    return f"{find_benchmark(benchmark).title}, {sublayer}, {questions} questions"
