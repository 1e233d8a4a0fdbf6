"""Input of selectors: everything but which answers are right; and pilot questions, with that."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Answers, Grid
from cctuning.evaluation.scoring.short_answers import answer_words

Array = NDArray[np.float64]


@dataclass(frozen=True)
class UnlabelledAnswers:
    """Q questions in one language, and what each of C layer pairs made the model answer to them.

    It does not say which answers are right, so nothing that is computed from it can.
    """

    language: str
    questions: tuple[str, ...]  # ids
    layers: int  # L of the model
    pairs: NDArray[np.intp]  # (C, 2): source layer, target layer
    answer: NDArray[np.intp]  # (Q, C); answers to a question with the same words have the same number
    original: NDArray[np.intp]  # (Q,) that of the model as it is; -1 where no pair answers so
    new_tokens: Array  # (Q, C)
    log_probability: Array  # (Q, C) nats, under the model that wrote the answer
    plain_log_probability: Array  # (Q, C) nats, under the model as it is
    option_log_probabilities: Array | None  # (Q, C, options) nats; NaN beyond a question's own
    features: Array | None = None  # (Q, k) of the activations, see `features`

    @property
    def places(self) -> NDArray[np.intp]:
        """(C,) each pair's place among all L² of a grid: source layer · L + target layer."""
        return self.pairs[:, 0] * self.layers + self.pairs[:, 1]


@dataclass(frozen=True)
class LabelledAnswers:
    """Questions whose gold answers are known: what selectors may learn from, and what they are judged by."""

    unlabelled: UnlabelledAnswers
    correct: NDArray[np.bool_]  # (Q, C)
    original: NDArray[np.bool_]  # (Q,) the model as it is


def labelled_grid(grid: Grid, features: Array | None = None) -> LabelledAnswers:
    """The questions of a grid, with all L² pairs in the order of its cells."""
    pairs = [(i, j) for i in range(grid.layers) for j in range(grid.layers)]
    cells: dict[str, Any] = {name: _flat(value) for name, value in vars(grid.cells).items()}
    return _labelled(grid, pairs, grid.layers, Answers(**cells), features)


def labelled_applied(applied: Applied, layers: int, features: Array | None = None) -> LabelledAnswers:
    """Unseen questions, with the pairs of the strategies that were applied to them, each pair once."""
    named = {pair: name for name, pair in applied.pairs.items()}
    pairs = sorted(named)
    strategies = [vars(applied.strategies[named[pair]]) for pair in pairs]
    cells: dict[str, Any] = {
        name: None
        if strategies[0][name] is None
        else np.stack([answers[name] for answers in strategies], axis=1)
        for name in strategies[0]
    }
    return _labelled(applied, pairs, layers, Answers(**cells), features)


def of_questions(labelled: LabelledAnswers, questions: Collection[str]) -> LabelledAnswers:
    """Those of the questions whose ids are among `questions`."""
    rows = np.array([id in questions for id in labelled.unlabelled.questions])
    arrays = {
        name: value[rows]
        for name, value in vars(labelled.unlabelled).items()
        if isinstance(value, np.ndarray) and name != "pairs"
    }
    ids = tuple(itertools.compress(labelled.unlabelled.questions, rows))
    return LabelledAnswers(
        replace(labelled.unlabelled, questions=ids, **arrays), labelled.correct[rows], labelled.original[rows]
    )


def accuracy(labelled: LabelledAnswers, choice: NDArray[np.intp]) -> float:
    """The share of the questions that are answered right under the pairs at the places `choice`, (Q,)."""
    return float(np.take_along_axis(labelled.correct, choice[:, None], axis=1).mean())


def pair_accuracy(pilot: Sequence[LabelledAnswers]) -> Array:
    """(L²,) of every pair, averaged over languages."""
    return np.mean([labelled.correct.mean(axis=0) for labelled in pilot], axis=0)


def _labelled(
    grid: Grid | Applied, pairs: list[tuple[int, int]], layers: int, cells: Answers, features: Array | None
) -> LabelledAnswers:
    answer, original = _alike(grid, cells.text)
    seen = UnlabelledAnswers(
        language=grid.language,
        questions=grid.questions,
        layers=layers,
        pairs=np.array(pairs, dtype=np.intp),
        answer=answer,
        original=original,
        new_tokens=np.maximum(cells.new_tokens, 1).astype(np.float64),
        log_probability=cells.log_probability,
        plain_log_probability=cells.plain_log_probability,
        option_log_probabilities=cells.option_log_probabilities,
        features=features,
    )
    return LabelledAnswers(seen, cells.correct, grid.target.correct)


def _alike(grid: Grid | Applied, text: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Answers (Q, C) and original answers (Q,) by number, the same for texts of the same words.

    Numbers go by first appearance, so that they tell nothing that the answers do not.
    """
    answer, original = np.empty(text.shape, np.intp), np.empty(len(text), np.intp)
    for question, (texts, places) in enumerate(zip(grid.texts, text, strict=True)):
        words = {place: tuple(answer_words(texts[place], grid.asked_in)) for place in dict.fromkeys(places)}
        numbers: dict[tuple[str, ...], int] = {}
        by_place = {place: numbers.setdefault(key, len(numbers)) for place, key in words.items()}
        answer[question] = [by_place[place] for place in places]
        plain = tuple(answer_words(texts[grid.target.text[question]], grid.asked_in))
        original[question] = numbers.get(plain, -1)
    return answer, original


def _flat(values: NDArray[np.generic] | None) -> NDArray[np.generic] | None:
    """(Q, L, L, ...) as (Q, L², ...)."""
    return None if values is None else values.reshape(len(values), -1, *values.shape[3:])
