"""A grid: what a model answered to the questions of a benchmark in one language under every layer pair."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

LayerPair = tuple[int, int]  # source layer, target layer, from 0
GridKey = tuple[str, str, str]  # sub-layer, benchmark, language

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Answers:
    """Answers of a model, with any leading dimensions `...`; the first is the question's.

    An answer is a place in the texts of its question (`Grid.texts`). Log-probabilities are in nats, summed
    over the answer's tokens and its end token.
    """

    text: NDArray[np.int32]  # (...)
    correct: NDArray[np.bool_]  # (...), by the metric that the papers report
    new_tokens: NDArray[np.int32]  # (...), its end token counts
    log_probability: NDArray[np.float64]  # (...), under the model that wrote it, transplant and all
    plain_log_probability: NDArray[np.float64]  # (...), under the model as it is, asked the target prompt
    option_log_probabilities: NDArray[np.float64] | None = None  # (..., options); NaN beyond a question's own
    # (...), of beginning with a right answer, under the model that wrote this one; NaN where it is not known.
    right_log_probability: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Grid:
    """All cells of a benchmark in one language: Q questions, L source layers into L target layers.

    Layers count from 0. `target` and `source` are what the model answers as it is, asked the prompt that
    activations go into and the one that they come from.
    """

    benchmark: str
    language: str  # of the questions; the centre language is the other one of each pair
    sublayer: str
    questions: tuple[str, ...]  # ids, as text
    texts: tuple[tuple[str, ...], ...]  # Q times the distinct answers to a question
    cells: Answers  # (Q, L, L): [question, source layer, target layer]
    target: Answers  # (Q,)
    source: Answers  # (Q,); its plain_log_probability is NaN
    asked_in: str  # the language of the prompts that activations go into

    @property
    def layers(self) -> int:
        """L."""
        return int(self.cells.correct.shape[1])


def each(measure: Callable[[Grid], Measured], grids: Mapping[str, Grid]) -> dict[str, Measured]:
    """A measure of every language's grid."""
    return {language: measure(grid) for language, grid in grids.items()}
