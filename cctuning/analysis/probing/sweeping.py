"""Sweeps over many questions: shared by processes, kept piece by piece, gone on with after a kill."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cctuning.analysis.cells.activations import activations_path, write_activations
from cctuning.analysis.cells.store import CellsError, has_cells, write_cells
from cctuning.analysis.probing.judging import cell_rows
from cctuning.analysis.probing.tasks import Asked, Piece
from cctuning.analysis.transplant import Cell, Question, answer_log_probabilities, sweep
from cctuning.evaluation.benchmark import Metric
from cctuning.prompts import PromptFormat
from cctuning.shares import ALONE, Share

Progress = Callable[[int], None]  # is told how many more questions are done

_LOOK_AGAIN = 0.5  # seconds after which a process that is done looks again for the files of the others


@dataclass(frozen=True)
class Sweeping:
    """How questions are swept: all that their cells depend on beside model and questions."""

    sublayer: str
    cells: tuple[Cell, ...] | None  # None: all pairs of layers, and the model as it is
    max_new_tokens: int = 20
    plain: bool = True  # log-probabilities of all answers under the model as it is, too
    options: bool = True  # log-probabilities of the options of a choice
    activations: bool = False  # keep what was moved, and the same of the target prompt


@dataclass(frozen=True)
class Job:
    """A piece, how it is swept, and who scores its answers."""

    piece: Piece
    how: Sweeping
    metric: Metric
    redo: bool = False  # cells that were made in another way are made again; else they are an error

    def fingerprint(self, settings: Mapping[str, Any]) -> str:
        """A hash of all that the piece's cells depend on."""
        return self.piece.fingerprint({**settings, **asdict(self.how)})

    def is_done(self, settings: Mapping[str, Any]) -> bool:
        """Whether the cells are there. Raises `CellsError` where others are, and `redo` is not set."""
        try:
            return has_cells(self.piece.path, self.fingerprint(settings))
        except CellsError:
            if self.redo:
                return False
            raise


def do_jobs(
    model: Any,
    prompts: PromptFormat,
    jobs: Sequence[Job],
    settings: Mapping[str, Any],
    *,
    share: Share = ALONE,
    rows: int | None = None,
    progress: Progress = lambda done: None,
) -> None:
    """Writes the cells of all jobs that are not done yet; returns when all are, those of others too.

    Of several processes each takes its turn of the jobs, and they meet in the files. `settings` is what
    cells depend on beside questions and jobs, such as the model's name. `rows`: of one forward pass at most;
    None: by free memory. Raises `CellsError` before anything is asked where other cells are in the way.
    """
    missing = []
    for number, job in enumerate(jobs):
        if job.is_done(settings):
            progress(len(job.piece.questions))
        else:
            missing.append((number, job))
    others = []
    for number, job in missing:
        if number % share.processes != share.process:
            others.append(job)
            continue
        cells, activations = _sweep_piece(model, prompts, job, rows)
        if activations:
            write_activations(activations_path(job.piece.path), activations)
        write_cells(job.piece.path, cells, fingerprint=job.fingerprint(settings))
        progress(len(job.piece.questions))
    for job in others:
        while not replace(job, redo=True).is_done(settings):
            time.sleep(_LOOK_AGAIN)
        progress(len(job.piece.questions))


def grid_cells(layers: int) -> tuple[Cell, ...]:
    """All pairs of L layers, in the grid's order, and the model as it is, which comes first."""
    return ((), *(((source, target),) for source in range(layers) for target in range(layers)))


def _sweep_piece(
    model: Any, prompts: PromptFormat, job: Job, rows: int | None
) -> tuple[list[dict[str, Any]], dict[str, tuple[Tensor, Tensor]]]:
    """The rows of a piece's cells, and of each question what was moved, where that is kept."""
    piece, how = job.piece, job.how
    cells = grid_cells(model.config.get_text_config().num_hidden_layers) if how.cells is None else how.cells
    questions = [_for_engine(asked, how) for asked in piece.questions]
    kept: dict[str, tuple[Tensor, Tensor]] = {}
    written: list[dict[str, Any]] = []
    found = sweep(
        model, questions, cells, sublayer=how.sublayer, max_new_tokens=how.max_new_tokens, rows=rows
    )
    for asked, one in zip(piece.questions, found, strict=True):
        plain = functools.partial(answer_log_probabilities, model, torch.tensor(asked.asked.ids))
        written += cell_rows(
            asked,
            piece.language,
            cells,
            one,
            prompts,
            job.metric,
            plain if how.plain and asked.source else None,
        )
        if how.activations:
            kept[str(asked.item.id)] = one.source_activations, one.target_activations
    return written, kept


def _for_engine(asked: Asked, how: Sweeping) -> Question:
    # Without a source there is nothing to move, and the prompt stands for it.
    source = asked.source or asked.asked
    options = asked.option_ids if how.options else ()
    return Question(torch.tensor(source.ids), torch.tensor(asked.asked.ids), options)
