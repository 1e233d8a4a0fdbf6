"""Grids whose right cells were put where a selector should find them, and grids where nothing tells them."""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from cctuning.analysis.cells.grid import Answers, Grid


def grid_of(
    text: np.ndarray,
    correct: np.ndarray,
    *,
    log_probability: np.ndarray | None = None,
    plain: np.ndarray | None = None,
    options: np.ndarray | None = None,
    new_tokens: np.ndarray | None = None,
    original: np.ndarray | None = None,
    words: tuple[str, ...] = tuple("abcdefghijklmnopqrstuvwxyz"),
    language: str = "de",
) -> Grid:
    """A grid of Q questions with these cells, (Q, L, L) each; the first text is the original answer."""
    shape = np.shape(text)
    cells = Answers(
        text=np.asarray(text, np.int32),
        correct=np.asarray(correct, bool),
        new_tokens=_filled(new_tokens, shape, 2).astype(np.int32),
        log_probability=_filled(log_probability, shape, -1),
        plain_log_probability=_filled(plain, shape, -1),
        option_log_probabilities=None if options is None else np.asarray(options, float),
    )
    first = {name: None if value is None else value[:, 0, 0] for name, value in vars(cells).items()}
    target = replace(Answers(**first), text=np.zeros(shape[0], np.int32))
    if original is not None:
        target = replace(target, correct=np.asarray(original, bool))
    return Grid(
        benchmark="xnli",
        language=language,
        sublayer="ffn",
        questions=tuple(str(number) for number in range(shape[0])),
        texts=(words,) * shape[0],
        cells=cells,
        target=target,
        source=target,
        asked_in=language,
    )


def _filled(values: np.ndarray | None, shape: tuple[int, ...], default: float) -> np.ndarray:
    return np.full(shape, default, float) if values is None else np.array(values, float)


def null_grid(rng: Generator, *, questions: int, layers: int, language: str = "de") -> Grid:
    """All arrays are drawn without a look at which cells are right, a third of those of each question."""
    shape = (questions, layers, layers)
    cells = layers * layers
    correct = np.stack([rng.permutation(cells) < round(cells / 3) for _ in range(questions)]).reshape(shape)
    return grid_of(
        rng.integers(0, 8, shape),
        correct,
        log_probability=-rng.exponential(3.0, shape),
        plain=-rng.exponential(5.0, shape),
        options=np.log(rng.dirichlet(np.ones(3), shape)),
        new_tokens=rng.integers(1, 10, shape),
        original=rng.random(questions) < 1 / 3,
        language=language,
    )


def linear_grid(rng: Generator, *, questions: int, layers: int, size: int) -> tuple[Grid, np.ndarray]:
    """A source layer is right with whatever target layer where a random projection of the features says so.

    Returns the grid and its features, (Q, size).
    """
    features = rng.normal(size=(questions, size))
    by_source = features[:, :2] @ rng.normal(size=(2, layers)) > 0
    correct = np.repeat(by_source[:, :, None], layers, axis=2)
    # Pairs and original are right on half of the questions by themselves.
    return grid_of(np.zeros(correct.shape), correct, original=rng.random(questions) < 0.5), features
