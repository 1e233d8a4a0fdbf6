"""Picks of the pair selectors: learnt on the pilot, and asked about other questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cctuning.analysis.selectors.answers import LabelledAnswers, UnlabelledAnswers, of_questions
from cctuning.analysis.selectors.selector import PairSelector


@dataclass(frozen=True)
class Split:
    """Questions to learn from, and questions to choose for, by language. No question is in both."""

    pilot: Mapping[str, LabelledAnswers]
    judged: Mapping[str, LabelledAnswers]


def cross_validation(pilot: Mapping[str, LabelledAnswers], parts: Sequence[set[str]]) -> list[Split]:
    """A split for each of `parts`, folds of the question ids, in which it is judged."""
    every: set[str] = set().union(*parts)
    return [Split(_of_questions(pilot, every - part), _of_questions(pilot, part)) for part in parts]


def select_pairs(selector: PairSelector, splits: Sequence[Split]) -> dict[str, dict[str, int]]:
    """By language, the chosen place for each question id that is judged in any of the splits."""
    chosen: dict[str, dict[str, int]] = {}
    for split in splits:
        rule = selector.learn(list(split.pilot.values()))
        for language, labelled in split.judged.items():
            places = rule(labelled.unlabelled).tolist()
            chosen.setdefault(language, {}).update(zip(labelled.unlabelled.questions, places, strict=True))
    return chosen


def unable(splits: Sequence[Split], selectors: Mapping[str, PairSelector]) -> dict[str, str]:
    """The pair selectors that cannot choose here, and why."""
    every = [
        labelled.unlabelled
        for split in splits
        for side in (split.pilot, split.judged)
        for labelled in side.values()
    ]
    missing = {}
    if not all(_has_options(unlabelled) for unlabelled in every):
        missing["options"] = "needs questions whose options were scored"
    if any(np.isnan(unlabelled.plain_log_probability).any() for unlabelled in every):
        missing["plain"] = "needs the answers' log-probabilities under the model as it is"
    if any(unlabelled.features is None for unlabelled in every):
        missing["activations"] = "needs the activations of the questions"
    return {
        name: missing[selector.needs] for name, selector in selectors.items() if selector.needs in missing
    }


def _has_options(unlabelled: UnlabelledAnswers) -> bool:
    """Whether every question has two options or more, under every pair."""
    scores = unlabelled.option_log_probabilities
    return scores is not None and bool(((~np.isnan(scores)).sum(axis=2) >= 2).all())


def _of_questions(pilot: Mapping[str, LabelledAnswers], ids: set[str]) -> dict[str, LabelledAnswers]:
    by_language = {language: of_questions(labelled, ids) for language, labelled in pilot.items()}
    return {language: labelled for language, labelled in by_language.items() if labelled.unlabelled.questions}
