"""Judgement of selectors: beside the original, the best fixed pair, and the instance-aware upper bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.selectors.answers import Array, LabelledAnswers, labelled_applied, labelled_grid
from cctuning.analysis.selectors.folds import folds
from cctuning.analysis.selectors.references import REFERENCES
from cctuning.analysis.selectors.registry import SELECTORS
from cctuning.analysis.selectors.selection import Split, cross_validation, select_pairs, unable
from cctuning.analysis.selectors.verdicts import Verdict, verdicts
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.stats.bootstrap import RESAMPLES, generator
from cctuning.stats.estimates import MEAN, POOLED, Resampling

FOLDS = 10


@dataclass(frozen=True)
class Judgement:
    """All pair selectors of a benchmark, under one sub-layer."""

    benchmark: str
    sublayer: str
    unseen: bool  # whether it chose on unseen questions; else on the pilot, by cross-validation
    questions: Mapping[str, int]  # of each language
    candidates: Mapping[str, int]  # of each language, how many pairs were chosen from: L², or those applied
    languages: Mapping[str, tuple[Verdict, ...]]
    mean: tuple[Verdict, ...]  # over languages, each counted equally
    pooled: tuple[Verdict, ...]  # over the questions of all languages, each counted equally
    left_out: Mapping[str, str]  # pair selectors that could not choose here, and why

    @property
    def candidates_text(self) -> str:
        """The number of pairs to choose from in all languages: "9", "2 to 3"."""
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
    pilot = _labelled(grids, features)
    grid = next(iter(grids.values()))
    ids = [id for labelled in pilot.values() for id in labelled.unlabelled.questions]
    parts = folds(ids, FOLDS, generator(seed, grid.benchmark, "folds"))
    if len(parts) < 2:
        raise ValueError(
            f"{grid.benchmark}: pair selectors are judged on two questions or more, not {len(parts)}"
        )
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
    for language, questions in unseen.items():
        if language not in grids:
            raise ValueError(
                f"{questions.benchmark}: {language} has unseen questions, but no pilot to learn from"
            )
    judged = _labelled(unseen, unseen_features, layers=grid.layers)
    split = Split(_labelled(grids, features), judged)
    return _judgement(grid, judged, [split], unseen=True, seed=seed, resamples=resamples)


def _labelled(
    grids: Mapping[str, Grid] | Mapping[str, Grid | Applied],
    features: Mapping[str, Array] | None,
    layers: int = 0,
) -> dict[str, LabelledAnswers]:
    labelled = {}
    for language, grid in grids.items():
        vectors = None if features is None else features[language]
        if isinstance(grid, Applied):
            labelled[language] = labelled_applied(grid, layers, vectors)
        else:
            labelled[language] = labelled_grid(grid, vectors)
    return labelled


def _judgement(
    grid: Grid,
    judged: Mapping[str, LabelledAnswers],
    splits: Sequence[Split],
    *,
    unseen: bool,
    seed: int,
    resamples: int,
) -> Judgement:
    left_out = unable(splits, SELECTORS)
    chosen = {
        name: select_pairs(selector, splits) for name, selector in SELECTORS.items() if name not in left_out
    }
    scores = {language: _scores(labelled, language, chosen) for language, labelled in judged.items()}
    resampling = Resampling(
        {language: labelled.unlabelled.questions for language, labelled in judged.items()},
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
        questions={language: len(labelled.correct) for language, labelled in judged.items()},
        candidates={language: len(labelled.unlabelled.pairs) for language, labelled in judged.items()},
        languages={language: tuple(row[language] for row in rows) for language in judged},
        mean=tuple(row[MEAN] for row in rows),
        pooled=tuple(row[POOLED] for row in rows),
        left_out=left_out,
    )


def _scores(
    labelled: LabelledAnswers, language: str, chosen: Mapping[str, Mapping[str, Mapping[str, int]]]
) -> dict[str, Array]:
    """(Q,) 1 for right and 0 for wrong, by name."""
    scores = {name: reference(labelled) for name, reference in REFERENCES.items()}
    for name, places in chosen.items():
        columns = np.array([places[language][id] for id in labelled.unlabelled.questions])
        scores[name] = np.take_along_axis(labelled.correct, columns[:, None], axis=1)[:, 0].astype(np.float64)
    return scores


def _distinct(places: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """The number of distinct pairs chosen in each language, and in all together."""
    if not places:
        return {}
    together = len({place for by_id in places.values() for place in by_id.values()})
    return {language: len({*by_id.values()}) for language, by_id in places.items()} | {
        MEAN: together,
        POOLED: together,
    }
