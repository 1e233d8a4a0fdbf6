"""Grids and applied strategies out of files of cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cctuning.analysis.cells.applied import Applied
from cctuning.analysis.cells.grid import Answers, Grid, LayerPair
from cctuning.analysis.cells.store import CellsError, read_cells


@dataclass(frozen=True)
class CellFiles:
    """Files of a benchmark's cells in one language, and its questions."""

    benchmark: str
    language: str
    sublayer: str
    asked_in: str
    questions: tuple[str, ...]  # ids, as text, in their order
    cells: Sequence[Path]
    sources: Sequence[Path]  # answers to the source prompts; may hold more questions


def read_grid(files: CellFiles) -> Grid:
    """The grid of all pairs of layers. Raises `CellsError` for a file that is damaged or lacks a cell."""
    rows = _Rows(files)
    layers = 1 + max(rows.source_layer.max(initial=-1), rows.target_layer.max(initial=-1))
    cells = rows.of_cells([divmod(cell, layers) for cell in range(layers**2)])
    return Grid(
        benchmark=files.benchmark,
        language=files.language,
        sublayer=files.sublayer,
        questions=files.questions,
        texts=rows.texts(),
        cells=rows.answers(cells.reshape(len(files.questions), layers, layers)),
        target=rows.answers(rows.of_kind("target")),
        source=rows.answers(rows.of_kind("source")),
        asked_in=files.asked_in,
    )


def read_applied(files: CellFiles, pairs: Mapping[str, LayerPair], fingerprints: Sequence[str]) -> Applied:
    """Answers under the layer pairs of strategies. Raises `CellsError` as `read_grid`.

    `fingerprints`: of the questions (`evaluation.comparison.evaluations.fingerprint`).
    """
    rows = _Rows(files)
    return Applied(
        benchmark=files.benchmark,
        language=files.language,
        sublayer=files.sublayer,
        questions=files.questions,
        fingerprints=tuple(fingerprints),
        texts=rows.texts(),
        target=rows.answers(rows.of_kind("target")),
        source=rows.answers(rows.of_kind("source")),
        asked_in=files.asked_in,
        pairs=dict(pairs),
        strategies={name: rows.answers(rows.of_cells([pair])[:, 0]) for name, pair in pairs.items()},
    )


class _Rows:
    """All rows of some files as columns, and where in them a cell stands."""

    def __init__(self, files: CellFiles) -> None:
        table = pa.concat_tables([read_cells(files.cells), read_cells(files.sources)])
        known = {id: number for number, id in enumerate(files.questions)}
        numbers = np.array([known.get(id, -1) for id in table["question"].to_pylist()], dtype=np.int64)
        table = table.filter(pa.array(numbers >= 0))  # the sources are those of all languages
        self.files = files
        self.question = numbers[numbers >= 0]
        self.kind = np.array(table["kind"].to_pylist(), dtype=np.str_)
        self.source_layer = _integers(table["source_layer"])
        self.target_layer = _integers(table["target_layer"])
        self._texts: list[dict[str, int]] = [{} for _ in files.questions]
        self._answers = self._all_answers(table)

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The distinct answers of each question."""
        return tuple(map(tuple, self._texts))

    def of_kind(self, kind: str) -> NDArray[np.int64]:
        """The row of each question that is of a kind (Q,)."""
        return self._placed(self.kind == kind, np.zeros(len(self.question), dtype=np.int64), 1, kind)[:, 0]

    def of_cells(self, pairs: Sequence[LayerPair]) -> NDArray[np.int64]:
        """The row of each question and pair (Q, pairs)."""
        layers = 1 + max((max(pair) for pair in pairs), default=0)
        columns = np.full((layers, layers), -1, dtype=np.int64)
        for number, pair in enumerate(pairs):
            columns[pair] = number
        inside = (self.kind == "transplant") & (self.source_layer < layers) & (self.target_layer < layers)
        column = np.full(len(self.question), -1, dtype=np.int64)
        column[inside] = columns[self.source_layer[inside], self.target_layer[inside]]
        # Two strategies may have chosen one pair.
        needed = [int(columns[pair]) for pair in pairs]
        return self._placed(column >= 0, column, len(pairs), "transplant", needed)[:, needed]

    def answers(self, rows: NDArray[np.int64]) -> Answers:
        """The answers in some rows, in their shape."""
        arrays: dict[str, Any] = {
            name: None if values is None else values[rows] for name, values in vars(self._answers).items()
        }
        return Answers(**arrays)

    def _placed(
        self,
        chosen: NDArray[np.bool_],
        column: NDArray[np.int64],
        columns: int,
        kind: str,
        needed: Sequence[int] = (0,),
    ) -> NDArray[np.int64]:
        """The number of the row of each question and column (Q, columns), each there once."""
        rows = np.full((len(self.files.questions), columns), -1)
        numbers = np.flatnonzero(chosen)
        rows[self.question[numbers], column[numbers]] = numbers
        wanted = rows[:, list(needed)]
        if len(numbers) == (rows >= 0).sum() and (wanted >= 0).all():
            return rows
        lacking = [id for id, row in zip(self.files.questions, wanted, strict=True) if (row < 0).any()]
        wrong = f"question {lacking[0]} lacks a cell" if lacking else "a cell is there twice"
        paths = self.files.sources if kind == "source" else self.files.cells
        place = f" in {paths[0].parent}" if paths else ""
        raise CellsError(
            f"{self.files.benchmark}, {self.files.language}, kind {kind}: {wrong}{place}. Take the folder "
            "away, and it is made again"
        )

    def _all_answers(self, table: pa.Table) -> Answers:
        texts, right = table["text"].to_pylist(), table["right_log_probability"]
        places = [
            self._texts[question].setdefault(text, len(self._texts[question]))
            for question, text in zip(self.question, texts, strict=True)
        ]
        return Answers(
            np.array(places, dtype=np.int32),
            table["correct"].to_numpy().astype(bool),
            pc.list_value_length(table["tokens"]).to_numpy().astype(np.int32),
            table["log_probability"].to_numpy(),
            table["plain_log_probability"].to_numpy(),
            _options(table["option_log_probabilities"]),
            None if right.null_count == len(right) else right.to_numpy(),
        )


def _integers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return column.fill_null(-1).to_numpy().astype(np.int64)


def _options(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Lists of different lengths (rows, longest), NaN beyond a row's own; None where no row has any."""
    lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    if not lengths.max(initial=0):
        return None
    padded = np.full((len(lengths), lengths.max()), np.nan)
    padded[np.arange(lengths.max()) < lengths[:, None]] = pc.list_flatten(column).to_numpy()
    return padded
