"""How good choosers are: beside the original, the best fixed pair, and the instance-aware upper bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.choosers.asked import Array, Known, known_applied, known_grid
from cctuning.analysis.choosers.choosing import Split, choose, cross_validation, unable
from cctuning.analysis.choosers.folds import folds
from cctuning.analysis.choosers.references import REFERENCES
from cctuning.analysis.choosers.registry import CHOOSERS
from cctuning.analysis.choosers.verdicts import Verdict, verdicts
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.stats.bootstrap import RESAMPLES, generator
from cctuning.stats.estimates import MEAN, POOLED, Resampling

FOLDS = 10


@dataclass(frozen=True)
class Judgement:
    """All choosers of a benchmark, under one sub-layer."""

    benchmark: str
    sublayer: str
    unseen: bool  # whether it chose on unseen questions; else on the pilot, by cross-validation
    questions: Mapping[str, int]  # of each language
    candidates: Mapping[str, int]  # of each language, how many pairs were chosen from: L², or those applied
    languages: Mapping[str, tuple[Verdict, ...]]
    mean: tuple[Verdict, ...]  # over languages, each counted equally
    pooled: tuple[Verdict, ...]  # over the questions of all languages, each counted equally
    left_out: Mapping[str, str]  # choosers that could not choose here, and why

    @property
    def candidates_text(self) -> str:
        """How many pairs were chosen from in all languages: "9", "2 to 3"."""
        least, most = min(self.candidates.values()), max(self.candidates.values())
        return f"{least} to {most}" if least < most else str(most)


def judge_pilot(
    grids: Mapping[str, Grid],
    features: Mapping[str, Array] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Judgement:
    """Judges by cross-validation over question ids: what is learnt is learnt from the other folds.

    `grids` are a benchmark's, by language, and `features` what `features.features` makes of the activations
    of their questions. Raises `ValueError` for fewer than two question ids.
    """
    pilot = _known(grids, features)
    grid = next(iter(grids.values()))
    ids = [id for known in pilot.values() for id in known.asked.questions]
    parts = folds(ids, FOLDS, generator(seed, grid.benchmark, "folds"))
    if len(parts) < 2:
        raise ValueError(f"{grid.benchmark}: choosers are judged on two questions or more, not {len(parts)}")
    splits = cross_validation(pilot, parts)
    return _judgement(grid, pilot, splits, unseen=False, seed=seed, resamples=resamples)


def judge_unseen(
    grids: Mapping[str, Grid],
    unseen: Mapping[str, Grid | Applied],
    features: Mapping[str, Array] | None = None,
    unseen_features: Mapping[str, Array] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Judgement:
    """Judges on unseen questions what is learnt from all of the pilot's `grids`.

    Where only some pairs were swept on them (`Applied`), those are what is chosen from, and what the upper
    bound and the random pair are over; `candidates` says how many. The ids of unseen questions have nothing
    to do with those of the pilot. Raises `ValueError` for a language without a pilot.
    """
    grid = next(iter(grids.values()))
    for language, own in unseen.items():
        if language not in grids:
            raise ValueError(f"{own.benchmark}: {language} has unseen questions, but no pilot to learn from")
    judged = _known(unseen, unseen_features, layers=grid.layers)
    split = Split(_known(grids, features), judged)
    return _judgement(grid, judged, [split], unseen=True, seed=seed, resamples=resamples)


def _known(
    grids: Mapping[str, Grid] | Mapping[str, Grid | Applied],
    features: Mapping[str, Array] | None,
    layers: int = 0,
) -> dict[str, Known]:
    known = {}
    for language, own in grids.items():
        found = None if features is None else features[language]
        if isinstance(own, Applied):
            known[language] = known_applied(own, layers, found)
        else:
            known[language] = known_grid(own, found)
    return known


def _judgement(
    grid: Grid,
    judged: Mapping[str, Known],
    splits: Sequence[Split],
    *,
    unseen: bool,
    seed: int,
    resamples: int,
) -> Judgement:
    left_out = unable(splits, CHOOSERS)
    chosen = {name: choose(own, splits) for name, own in CHOOSERS.items() if name not in left_out}
    scores = {language: _scores(known, language, chosen) for language, known in judged.items()}
    resampling = Resampling(
        {language: known.asked.questions for language, known in judged.items()},
        parallel=find_benchmark(grid.benchmark).parallel,
        random=generator(seed, grid.benchmark),  # the same draws as of the measures
        resamples=resamples,
    )
    rows = [
        verdicts(name, scores, resampling, _distinct(chosen.get(name, {}))) for name in (*REFERENCES, *chosen)
    ]
    return Judgement(
        benchmark=grid.benchmark,
        sublayer=grid.sublayer,
        unseen=unseen,
        questions={language: len(known.correct) for language, known in judged.items()},
        candidates={language: len(known.asked.pairs) for language, known in judged.items()},
        languages={language: tuple(row[language] for row in rows) for language in judged},
        mean=tuple(row[MEAN] for row in rows),
        pooled=tuple(row[POOLED] for row in rows),
        left_out=left_out,
    )


def _scores(
    known: Known, language: str, chosen: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> dict[str, Array]:
    """(Q,) 1 for right and 0 for wrong, by name."""
    scores = {name: reference(known) for name, reference in REFERENCES.items()}
    for name, places in chosen.items():
        own = np.array([places[language][id] for id in known.asked.questions])
        scores[name] = np.take_along_axis(known.correct, own[:, None], axis=1)[:, 0].astype(np.float64)
    return scores


def _distinct(places: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """How many distinct pairs were chosen in each language, and in all together."""
    if not places:
        return {}
    together = len({place for own in places.values() for place in own.values()})
    return {language: len({*own.values()}) for language, own in places.items()} | {
        MEAN: together,
        POOLED: together,
    }
