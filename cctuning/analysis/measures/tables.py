"""The measures as files: a CSV and a JSON file of each, and an overview in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cctuning.analysis.measures.overview import overview_text
from cctuning.reporting.text_tables import csv_table
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json

Content = Mapping[str, Any]
Line = list[Any]

_AXES = ("source_layer", "target_layer", "tries", "level", "bin")
_PLACE = ["sublayer", "benchmark", "language"]
_MEASURE = [*_PLACE, "quantity", *_AXES, "value", "ci95_low", "ci95_high", "questions"]
_PAIRS = [*_PLACE, "strategy", "source_layer", "target_layer"]
_CHOICES = [*_PAIRS, "candidates", "tied", "chosen_again"]
_SCORE = ["accuracy", "ci95_low", "ci95_high", "questions"]
_DIFFERENCE = ["difference", "difference_ci95_low", "difference_ci95_high", "p_bootstrap"]
_DIFFERENCE += ["only_original_right", "only_this_right", "p_mcnemar", "p_holm"]
_VERDICTS = ("accuracy", "over_original", "over_fixed_pair")
_SELECTORS = [*_PLACE, "asked", "selector", "candidates", "pairs"]
_SELECTORS += [f"{verdict}{end}" for verdict in _VERDICTS for end in ("", "_ci95_low", "_ci95_high")]
_UNSEEN = [*_PLACE, "name", *_SCORE, *_DIFFERENCE]
_CONSISTENCY = [*_PLACE, "name", "consistency", *_SCORE[1:], *_DIFFERENCE]


def write_tables(folder: str | Path, summary: Content) -> None:
    """Writes `overview.md`, and a CSV and a JSON file for each measure of a summary, into `folder`.

    A summary may have `selectors` beside the measures: a list of `selectors.Judgement` as dictionaries.

    A line of CSV is one number with its interval; what does not apply is empty. Raises `OSError`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for measure, content in summary.items():
        write_whole(folder / f"{measure}.json", to_json(content) + "\n")
        if measure == "pairs":
            write_whole(folder / "pairs.csv", csv_table(_PAIRS, _pair_lines(content)))
        elif measure == "choices":
            write_whole(folder / "choices.csv", csv_table(_CHOICES, _choice_lines(content)))
        elif measure == "unseen":
            write_whole(folder / "unseen.csv", csv_table(_UNSEEN, _unseen_lines(content, "scores")))
            consistency = csv_table(_CONSISTENCY, _unseen_lines(content, "consistency"))
            write_whole(folder / "unseen_consistency.csv", consistency)
        elif measure == "selectors":
            write_whole(folder / "selectors.csv", csv_table(_SELECTORS, _selector_lines(content)))
        elif measure != "about":
            lines = _measure_lines(content, summary["about"]["axes"])
            write_whole(folder / f"{measure}.csv", csv_table(_MEASURE, lines))
    write_whole(folder / "overview.md", overview_text(summary))


def _measure_lines(content: Content, axes: Mapping[str, Sequence[Any]]) -> Iterator[Line]:
    for sublayer, benchmarks in content.items():
        for benchmark, quantities in benchmarks.items():
            for quantity, languages in quantities.items():
                for language, estimate in languages.items():
                    for places, numbers in _numbers(quantity, estimate, axes):
                        own = [places.get(axis) for axis in _AXES]
                        yield [sublayer, benchmark, language, quantity, *own, *numbers, estimate["questions"]]


def _numbers(
    quantity: str, estimate: Content, axes: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[dict[str, Any], Line]]:
    """Each number of a quantity with its interval, and its places on the axes of the quantity."""
    _, _, over = quantity.partition("_by_")
    own = ["source_layer", "target_layer"] if over == "pair" else [over] if over else []
    numbers = np.stack([np.array(estimate[key], dtype=object) for key in ("value", "low", "high")], axis=-1)
    for place in np.ndindex(numbers.shape[:-1]):
        labels = {axis: axes[axis][index] for axis, index in zip(own, place, strict=True)}
        yield labels, numbers[place].tolist()


def _pair_lines(content: Content) -> Iterator[Line]:
    for sublayer, benchmarks in content.items():
        for benchmark, languages in benchmarks.items():
            for language, strategies in languages.items():
                for strategy, pair in strategies.items():
                    yield [sublayer, benchmark, language, strategy, *pair]


def _choice_lines(content: Content) -> Iterator[Line]:
    for sublayer, benchmarks in content.items():
        for benchmark, languages in benchmarks.items():
            for language, strategies in languages.items():
                for strategy, choice in strategies.items():
                    numbers = [choice[name] for name in _CHOICES[-3:]]
                    yield [sublayer, benchmark, language, strategy, *choice["pair"], *numbers]


def _unseen_lines(content: Content, what: str) -> Iterator[Line]:
    for sublayer, found in content.items():
        for score in found[what]:
            line = [sublayer, score["benchmark"], score["language"] or "mean", score["name"]]
            line += [score["score"], *score["interval"], score["questions"]]
            if change := score["difference"]:
                line += [change["value"], *change["interval"], change["p"], change["only_baseline"]]
                line += [change["only_this"], change["mcnemar_p"], change["p_holm"]]
            yield line + [None] * (len(_UNSEEN) - len(line))


def _selector_lines(judgements: Sequence[Content]) -> Iterator[Line]:
    for one in judgements:
        asked = "unseen" if one["unseen"] else "pilot"
        several = {*one["candidates"].values()}
        common = several.pop() if len(several) == 1 else None
        for language, verdicts in [
            *one["languages"].items(),
            ("mean", one["mean"]),
            ("pooled", one["pooled"]),
        ]:
            for verdict in verdicts:
                line = [one["sublayer"], one["benchmark"], language, asked, verdict["name"]]
                line += [one["candidates"].get(language, common), verdict["pairs"]]
                for score in (verdict[name] for name in _VERDICTS):
                    line += [score["value"], *(score["interval"] or (None, None))] if score else [None] * 3
                yield line
