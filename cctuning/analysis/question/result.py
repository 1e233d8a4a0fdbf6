"""What came of the transplants of one question: maps, answers, lenses, and how they are shown."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cctuning.analysis.figures.heatmaps import draw_question
from cctuning.analysis.lens.page import ShownLens
from cctuning.reporting.plots import png_address, style
from cctuning.reporting.tables import RecordTable
from cctuning.settings.near_matches import did_you_mean
from cctuning.stats.bootstrap import Array

_SHOWN = 5  # pairs of a sub-layer in a short table
_COLUMNS = ["sub-layer", "source", "target", "change", "log p", "right", "answer"]

Pair = tuple[int, int]  # source layer, target layer, from 0


@dataclass(frozen=True)
class Answered:
    """An answer, and how likely a right one was."""

    text: str
    correct: bool  # whether one of the right answers is in it
    log_probability: float  # nats: that the response begins with a right answer


@dataclass(frozen=True)
class PairAnswers:
    """The same of all pairs of L layers under a sub-layer: [source layer][target layer]."""

    texts: tuple[tuple[str, ...], ...]  # (L, L)
    correct: NDArray[np.bool_]  # (L, L)
    log_probability: Array  # (L, L)


@dataclass(frozen=True)
class QuestionResult:
    """All transplants of one question. Layers count from 0, log-probabilities are in nats.

    `original` is what the model answers to the target prompt as it is, `in_source` to the source prompt.
    A sub-layer of None is the first that was asked for. A notebook shows the maps and the best pairs.
    """

    source: str
    target: str
    answers: tuple[str, ...]
    original: Answered
    in_source: Answered
    grids: Mapping[str, PairAnswers]  # by sub-layer
    read_lens: Callable[[Pair, str], ShownLens] = field(repr=False, compare=False)

    def map(self, sublayer: str | None = None) -> Array:
        """The change (L, L) of the right answers' log-probability against the original, by pair."""
        return self._grid(sublayer).log_probability - self.original.log_probability

    def texts(self, sublayer: str | None = None) -> tuple[tuple[str, ...], ...]:
        """The answers: `texts()[i][j]` with source layer i into target layer j."""
        return self._grid(sublayer).texts

    def correct(self, sublayer: str | None = None) -> NDArray[np.bool_]:
        """Whether each answer (L, L) has one of the right answers in it."""
        return self._grid(sublayer).correct

    def best(self, count: int = _SHOWN, sublayer: str | None = None) -> list[Pair]:
        """The pairs that raise the right answers' log-probability most, the best first."""
        changes = self.map(sublayer)
        places = np.argsort(-changes, axis=None, kind="stable")[:count]
        return [(int(place) // len(changes), int(place) % len(changes)) for place in places]

    def lens(self, i: int, j: int, sublayer: str | None = None) -> ShownLens:
        """What every layer would say next, without and with source layer i into target layer j."""
        return self.read_lens((i, j), self._name(sublayer))

    def figure(self) -> Figure:
        """The maps of all sub-layers on one scale, each with its best pair."""
        with style():
            return draw_question({name: self.map(name) for name in self.grids}, self.original.log_probability)

    def table(self, count: int | None = None) -> RecordTable:
        """The original, the answer to the source prompt, and all pairs or the `count` best of a sub-layer."""
        rows = [self._row("original", self.original), self._row("source prompt", self.in_source)]
        for name, grid in self.grids.items():
            layers = len(grid.texts)
            everything = [(i, j) for i in range(layers) for j in range(layers)]
            for pair in everything if count is None else self.best(count, name):
                answered = Answered(
                    grid.texts[pair[0]][pair[1]], bool(grid.correct[pair]), float(grid.log_probability[pair])
                )
                rows.append(self._row(name, answered, pair))
        return RecordTable(_COLUMNS, rows)

    def as_json(self) -> dict[str, Any]:
        """All numbers and texts, as JSON holds them."""
        return {
            "source": self.source,
            "target": self.target,
            "answers": list(self.answers),
            "original": vars(self.original),
            "in_source": vars(self.in_source),
            "sublayers": {
                name: {
                    "change": self.map(name).tolist(),
                    "correct": grid.correct.tolist(),
                    "texts": grid.texts,
                }
                for name, grid in self.grids.items()
            },
        }

    def _repr_html_(self) -> str:
        return "".join(self._html())

    def _html(self) -> Iterator[str]:
        texts = {"Asked": self.target, "Source": self.source, "Right": " | ".join(self.answers)}
        for name, text in texts.items():
            yield f"<p><b>{name}</b>: <bdi>{escape(text)}</bdi></p>"
        alt, size = "Change of the right answers' log-probability", "width:700px;max-width:100%"
        yield f'<img alt="{alt}" style="{size}" src="{png_address(self.figure())}">'
        yield self.table(_SHOWN).html()

    def _row(self, name: str, answered: Answered, pair: Pair | None = None) -> list[Any]:
        source, target = pair or (None, None)
        change = f"{answered.log_probability - self.original.log_probability:+.2f}" if pair else None
        right = "yes" if answered.correct else "no"
        return [name, source, target, change, f"{answered.log_probability:.2f}", right, answered.text]

    def _grid(self, sublayer: str | None) -> PairAnswers:
        return self.grids[self._name(sublayer)]

    def _name(self, sublayer: str | None) -> str:
        name = next(iter(self.grids)) if sublayer is None else sublayer
        if name not in self.grids:
            near = did_you_mean(str(name), self.grids)
            raise ValueError(f"sublayer={name!r} was not asked for, only {', '.join(self.grids)}{near}")
        return name
