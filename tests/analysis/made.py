"""Grids and applied strategies of made-up answers, where a text is right or wrong wherever it stands."""

import numpy as np
from numpy.random import Generator

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Answers, Grid


def made_grid(
    rng: Generator,
    *,
    questions: int = 6,
    layers: int = 4,
    benchmark: str = "xnli",
    language: str = "de",
    sublayer: str = "ffn",
    distinct: int = 5,
    right: float = 0.4,
    options: int = 0,
    texts: tuple[tuple[str, ...], ...] | None = None,
) -> Grid:
    """A grid with `distinct` texts per question, of which each is right with a chance of `right`.

    Its first text is what the model answers as it is, the likeliest of all; every other cell's is drawn.
    Log-probabilities depend on the text and the cell, those of the plain model on the text alone.
    """
    if texts is None:
        texts = tuple(
            tuple(f"{language} answer {place} to question {question}" for place in range(distinct))
            for question in range(questions)
        )
    of_text = _Texts(rng, questions, distinct, right)
    cells = rng.integers(-distinct, distinct, size=(questions, layers, layers)).clip(0)
    return Grid(
        benchmark=benchmark,
        language=language,
        sublayer=sublayer,
        questions=tuple(str(7 * question) for question in range(questions)),
        texts=texts,
        cells=of_text.answers(cells, options),
        target=of_text.answers(np.zeros(questions, int), options),
        source=of_text.answers(rng.integers(distinct, size=questions), options, plain=False),
        asked_in=language,
    )


def made_applied(rng: Generator, grid: Grid, pairs: dict[str, tuple[int, int]]) -> Applied:
    """What `pairs` answer to as many other questions as `grid` has, in its language."""
    other = made_grid(
        rng,
        questions=len(grid.questions),
        layers=grid.layers,
        benchmark=grid.benchmark,
        language=grid.language,
        sublayer=grid.sublayer,
    )
    return Applied(
        benchmark=other.benchmark,
        language=other.language,
        sublayer=other.sublayer,
        questions=tuple(f"{1000 + number}" for number in range(len(other.questions))),
        fingerprints=tuple(f"of question {number}" for number in range(len(other.questions))),
        texts=other.texts,
        target=other.target,
        source=other.source,
        asked_in=other.asked_in,
        pairs=pairs,
        strategies={name: answers_at(other.cells, pair) for name, pair in pairs.items()},
    )


def answers_at(cells: Answers, pair: tuple[int, int]) -> Answers:
    """The answers, (Q,), of one layer pair of a grid's cells."""
    options = cells.option_log_probabilities
    return Answers(
        text=cells.text[:, *pair],
        correct=cells.correct[:, *pair],
        new_tokens=cells.new_tokens[:, *pair],
        log_probability=cells.log_probability[:, *pair],
        plain_log_probability=cells.plain_log_probability[:, *pair],
        option_log_probabilities=None if options is None else options[:, *pair],
        right_log_probability=cells.right_log_probability[:, *pair],
    )


class _Texts:
    """What is the same wherever a text stands: right or wrong, tokens, log-probability of the plain model."""

    def __init__(self, rng: Generator, questions: int, distinct: int, right: float) -> None:
        self.rng = rng
        self.correct = rng.random((questions, distinct)) < right
        self.new_tokens = rng.integers(1, 21, size=(questions, distinct)).astype(np.int32)
        self.plain = -np.sort(rng.exponential(1.0, size=(questions, distinct)), axis=1) * self.new_tokens

    def answers(self, text: np.ndarray, options: int, *, plain: bool = True) -> Answers:
        question = np.arange(len(text)).reshape(-1, *[1] * (text.ndim - 1))
        own = self.plain[question, text]
        scores = np.log(self.rng.dirichlet(np.ones(options), size=text.shape)) if options else None
        log_probability = own * self.rng.uniform(0.5, 1.5, size=text.shape)
        return Answers(
            text=text.astype(np.int32),
            correct=self.correct[question, text],
            new_tokens=self.new_tokens[question, text],
            log_probability=log_probability,
            plain_log_probability=own if plain else np.full(text.shape, np.nan),
            option_log_probabilities=scores,
            right_log_probability=0.2 * log_probability - 2.0 * ~self.correct[question, text],
        )
