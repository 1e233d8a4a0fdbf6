"""Which pairs the choosers pick: learnt on the pilot, and asked about other questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cctuning.analysis.choosers.asked import Asked, Known, only
from cctuning.analysis.choosers.chooser import Chooser


@dataclass(frozen=True)
class Split:
    """What to learn from, and what to choose for, by language. No question is in both."""

    pilot: Mapping[str, Known]
    judged: Mapping[str, Known]


def cross_validation(pilot: Mapping[str, Known], parts: Sequence[set[str]]) -> list[Split]:
    """A split for each of `parts`, folds of the question ids, in which it is judged."""
    every: set[str] = set().union(*parts)
    return [Split(_only(pilot, every - part), _only(pilot, part)) for part in parts]


def choose(chooser: Chooser, splits: Sequence[Split]) -> dict[str, dict[str, int]]:
    """By language, the chosen place for each question id that is judged in any of the splits."""
    chosen: dict[str, dict[str, int]] = {}
    for split in splits:
        rule = chooser.learn(list(split.pilot.values()))
        for language, known in split.judged.items():
            places = rule(known.asked).tolist()
            chosen.setdefault(language, {}).update(zip(known.asked.questions, places, strict=True))
    return chosen


def unable(splits: Sequence[Split], choosers: Mapping[str, Chooser]) -> dict[str, str]:
    """The choosers that cannot choose here, and why."""
    every = [
        known.asked for split in splits for side in (split.pilot, split.judged) for known in side.values()
    ]
    missing = {}
    if not all(_has_options(asked) for asked in every):
        missing["options"] = "needs questions whose options were scored"
    if any(np.isnan(asked.plain_log_probability).any() for asked in every):
        missing["plain"] = "needs the answers' log-probabilities under the model as it is"
    if any(asked.features is None for asked in every):
        missing["activations"] = "needs the activations of the questions"
    return {name: missing[own.needs] for name, own in choosers.items() if own.needs in missing}


def _has_options(asked: Asked) -> bool:
    """Whether every question has two options or more, under every pair."""
    scores = asked.option_log_probabilities
    return scores is not None and bool(((~np.isnan(scores)).sum(axis=2) >= 2).all())


def _only(pilot: Mapping[str, Known], ids: set[str]) -> dict[str, Known]:
    found = {language: only(known, ids) for language, known in pilot.items()}
    return {language: known for language, known in found.items() if known.asked.questions}
