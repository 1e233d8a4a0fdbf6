"""The measures as files: a CSV and a JSON file of each, and an overview in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cctuning.analysis.measures.overview import overview_text
from cctuning.evaluation.comparison.tables import DIFFERENCE
from cctuning.reporting.tables import Columns, RecordTable, leaves
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json

Content = Mapping[str, Any]
Line = list[Any]

_AXES = ("source_layer", "target_layer", "tries", "level", "bin")
_PLACE = ["sublayer", "benchmark", "language"]
_MEASURE = [*_PLACE, "quantity", *_AXES, "value", "ci95_low", "ci95_high", "questions"]
_PAIRS = [*_PLACE, "strategy", "source_layer", "target_layer"]
_CHOICE = ["candidates", "tied", "chosen_again"]
_VERDICTS = ("accuracy", "over_original", "over_fixed_pair")
_SELECTORS = [*_PLACE, "asked", "selector", "candidates", "pairs"]
_SELECTORS += [f"{verdict}{end}" for verdict in _VERDICTS for end in ("", "_ci95_low", "_ci95_high")]
_PROPOSALS: Columns = {
    "benchmark": "benchmark",
    "sublayer": "sublayer",
    "source_layer": "source_layer",
    "target_layer": "target_layer",
    "over_control": "value",
    "ci95_low": "low",
    "ci95_high": "high",
    "change": "change",
    "questions": "questions",
    "settings": "settings",
}
_UNSEEN: Columns = {
    "benchmark": "benchmark",
    "language": lambda score: score["language"] or "mean",
    "name": "name",
    "accuracy": "score",
    "ci95_low": "interval.0",
    "ci95_high": "interval.1",
    "questions": "questions",
    **DIFFERENCE,
    "only_original_right": "difference.only_baseline",
    "only_this_right": "difference.only_this",
    "p_mcnemar": "difference.mcnemar_p",
    "p_holm": "difference.p_holm",
}


def write_tables(folder: str | Path, summary: Content) -> None:
    """Writes `overview.md`, and a CSV and a JSON file for each measure of a summary, into `folder`.

    A summary may have `selectors` beside the measures: a list of `selectors.Judgement` as dictionaries.

    A line of CSV is one number with its interval; what does not apply is empty. Raises `OSError`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for measure, content in summary.items():
        write_whole(folder / f"{measure}.json", to_json(content) + "\n")
        for name, table in _tables(measure, content, summary["about"]["axes"]):
            write_whole(folder / f"{name}.csv", table.csv())
    write_whole(folder / "overview.md", overview_text(summary))


def _tables(measure: str, content: Any, axes: Content) -> Iterator[tuple[str, RecordTable]]:
    """The tables of a measure, each with the name of its file."""
    if measure == "pairs":
        yield measure, RecordTable(_PAIRS, [[*place, *pair] for place, pair in leaves(content, 4)])
    elif measure == "choices":
        lines = [
            [*place, *choice["pair"], *(choice[name] for name in _CHOICE)]
            for place, choice in leaves(content, 4)
        ]
        yield measure, RecordTable([*_PAIRS, *_CHOICE], lines)
    elif measure == "proposals":
        yield (
            measure,
            RecordTable.of(
                _PROPOSALS,
                [
                    pair | {"benchmark": benchmark, "questions": proposal["questions"]}
                    for benchmark, proposal in content.items()
                    for pair in proposal["pairs"]
                ],
            ),
        )
    elif measure == "unseen":
        yield measure, _unseen_table(content, "scores", "accuracy")
        yield "unseen_consistency", _unseen_table(content, "consistency", "consistency")
    elif measure == "selectors":
        yield measure, RecordTable(_SELECTORS, [*_selector_lines(content)])
    elif measure != "about":
        yield measure, RecordTable(_MEASURE, [*_measure_lines(content, axes)])


def _measure_lines(content: Content, axes: Mapping[str, Sequence[Any]]) -> Iterator[Line]:
    """A line for each number of a quantity, with its places on the axes of the quantity and its interval."""
    for (sublayer, benchmark, quantity, language), estimate in leaves(content, 4):
        over = quantity.partition("_by_")[2]
        dimensions = ["source_layer", "target_layer"] if over == "pair" else [over] if over else []
        numbers = np.stack(
            [np.array(estimate[key], dtype=object) for key in ("value", "low", "high")], axis=-1
        )
        for place in np.ndindex(numbers.shape[:-1]):
            labels = {axis: axes[axis][index] for axis, index in zip(dimensions, place, strict=True)}
            line = [sublayer, benchmark, language, quantity, *map(labels.get, _AXES)]
            yield [*line, *numbers[place].tolist(), estimate["questions"]]


def _unseen_table(content: Content, what: str, score: str) -> RecordTable:
    """The lines of every sub-layer; their scores are called `score`."""
    columns = {"sublayer": "sublayer"} | {
        score if name == "accuracy" else name: place for name, place in _UNSEEN.items()
    }
    records = [
        record | {"sublayer": sublayer}
        for sublayer, of_sublayer in content.items()
        for record in of_sublayer[what]
    ]
    return RecordTable.of(columns, records)


def _selector_lines(judgements: Sequence[Content]) -> Iterator[Line]:
    for judgement in judgements:
        questions = "unseen" if judgement["unseen"] else "pilot"
        several = {*judgement["candidates"].values()}
        common = several.pop() if len(several) == 1 else None
        for language, verdicts in [
            *judgement["languages"].items(),
            ("mean", judgement["mean"]),
            ("pooled", judgement["pooled"]),
        ]:
            for verdict in verdicts:
                line = [judgement["sublayer"], judgement["benchmark"], language, questions, verdict["name"]]
                line += [judgement["candidates"].get(language, common), verdict["pairs"]]
                for score in (verdict[name] for name in _VERDICTS):
                    line += [score["value"], *(score["interval"] or (None, None))] if score else [None] * 3
                yield line
