"""Findings of a study beside its measures: pair selectors, a question to look at, and the files of all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cctuning.analysis.cells.activations import Activations
from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Grid, GridKey
from cctuning.analysis.measures.strategies import OVERALL, choose
from cctuning.analysis.measures.tables import write_tables
from cctuning.analysis.selectors import Judgement, features, judge_pilot, judge_unseen
from cctuning.analysis.study_files import SUMMARY_FILE
from cctuning.evaluation.comparison.evaluations import Evaluation
from cctuning.evaluation.items.item import Item
from cctuning.tools.json_text import to_json
from cctuning.tools.marks import finish


@dataclass(frozen=True)
class StudyCells:
    """All that a study has found, for its findings."""

    grids: Mapping[GridKey, Grid]  # of the pilot
    items: Mapping[tuple[str, str], Sequence[Item]]  # its questions, by benchmark and language
    control: Mapping[GridKey, Grid] = field(default_factory=dict)  # the pilot with other source prompts
    activations: Mapping[GridKey, Activations] = field(default_factory=dict)  # empty where they are not kept
    applied: Mapping[GridKey, Applied] = field(default_factory=dict)  # chosen pairs on unseen questions
    unseen: Mapping[GridKey, Grid | Applied] = field(default_factory=dict)  # those, or whole grids
    unseen_activations: Mapping[GridKey, Activations] = field(default_factory=dict)
    others: Mapping[str, Evaluation] = field(default_factory=dict)  # of the unseen questions, by name


def judge(cells: StudyCells, *, seed: int) -> list[Judgement]:
    """All pair selectors on the pilot, by cross-validation, and on unseen questions where there are some.

    A pilot of one question cannot be divided, and is left out.
    """
    vectors = _features(cells.activations, seed)
    unseen_vectors = _features(cells.unseen_activations, seed)
    judgements = []
    for sublayer, benchmark in dict.fromkeys(key[:2] for key in cells.grids):
        grids = _of(cells.grids, sublayer, benchmark)
        if len({id for grid in grids.values() for id in grid.questions}) < 2:
            continue
        pilot_features = _of(vectors, sublayer, benchmark) or None
        judgements.append(judge_pilot(grids, pilot_features, seed=seed))
        if unseen := _of(cells.unseen, sublayer, benchmark):
            unseen_features = _of(unseen_vectors, sublayer, benchmark) or None
            judgements.append(judge_unseen(grids, unseen, pilot_features, unseen_features, seed=seed))
    return judgements


def shown_by_lens(cells: StudyCells, centre: str) -> dict[GridKey, tuple[str, tuple[int, int]]]:
    """A question, by id, and a pair to look at with a logit lens, for each sub-layer and benchmark.

    It is the first question that the model gets wrong as it is, and right under the pair that OverAll
    chooses, in the first language that has one; the languages' own order counts. The centre language, whose
    prompts are their own sources, is passed over.
    """
    shown: dict[GridKey, tuple[str, tuple[int, int]]] = {}
    seen = set()
    for key, grid in cells.grids.items():
        pair = choose(grid)[OVERALL]
        won = grid.cells.correct[:, *pair] & ~grid.target.correct
        if key[:2] not in seen and key[2] != centre and won.any():
            seen.add(key[:2])
            shown[key] = grid.questions[int(won.argmax())], pair
    return shown


def write_summary(
    folder: Path, summary: Mapping[str, Any], judgements: Sequence[Judgement]
) -> dict[str, Any]:
    """Writes tables/ and, last, summary.json, and returns what it holds. Raises `OSError`."""
    whole = {**summary, "selectors": [asdict(judgement) for judgement in judgements]}
    write_tables(folder / "tables", whole)
    finish(folder, SUMMARY_FILE, to_json(whole, indent=1) + "\n")
    return whole


def _features(activations: Mapping[GridKey, Activations], seed: int) -> dict[GridKey, Any]:
    return {key: features(*moved, seed=seed) for key, moved in activations.items()}


def _of(by_key: Mapping[GridKey, Any], sublayer: str, benchmark: str) -> dict[str, Any]:
    """The values of a sub-layer and a benchmark, by language."""
    return {key[2]: value for key, value in by_key.items() if key[:2] == (sublayer, benchmark)}
