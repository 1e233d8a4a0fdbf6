"""Sweeps over many questions: shared by processes, kept piece by piece, gone on with after a kill."""

import functools
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cctuning.analysis.cells.activations import activations_path, write_activations
from cctuning.analysis.cells.grid import LayerPair
from cctuning.analysis.cells.store import CellsError, has_cells, write_cells
from cctuning.analysis.probing.judging import cell_rows
from cctuning.analysis.probing.right_answers import TokenSequences, scored_answers
from cctuning.analysis.probing.tasks import Piece, ProbeQuestion
from cctuning.analysis.transplant import Cell, Intervention, PromptPair, answer_log_probabilities, sweep
from cctuning.analysis.transplant.interventions import REPLACE
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.sharing import ALONE, Shard
from cctuning.evaluation.items.benchmark import Metric
from cctuning.generation.finite import NonFiniteError
from cctuning.tools.growing_files import add_lines
from cctuning.tools.progress import Advance

_LOOK_AGAIN = 0.5  # seconds after which a process that is done looks again for the files of the others


@dataclass(frozen=True)
class Sweeping:
    """Settings of a sweep: all that their cells depend on beside model and questions."""

    sublayer: str
    cells: tuple[Cell, ...] | None  # None: all pairs of layers, and the model as it is
    max_new_tokens: int = 20
    plain: bool = True  # log-probabilities of all answers under the model as it is, too
    options: bool = True  # log-probabilities of the options of a choice, else of the right answers
    activations: bool = False  # keep what was moved, and the same of the target prompt, at their last tokens
    intervention: Intervention = REPLACE  # a named one
    also_targets: tuple[int, ...] = ()  # of all pairs: `cell_of`
    log_likelihood: bool = False  # the answer is the likeliest option


# Settings that cells of earlier versions do not know of: named where they are not as those were made.
_SINCE_LATER = {"intervention": REPLACE, "also_targets": (), "log_likelihood": False}


@dataclass(frozen=True)
class Job:
    """A piece, how it is swept, and who scores its answers."""

    piece: Piece
    how: Sweeping
    metric: Metric
    redo: bool = False  # cells that were made in another way are made again; else they are an error

    def fingerprint(self, settings: Mapping[str, Any]) -> str:
        """A hash of all that the piece's cells depend on."""
        how = asdict(self.how)
        for name, default in _SINCE_LATER.items():
            if getattr(self.how, name) == default:
                del how[name]
        return self.piece.fingerprint({**settings, **how})

    def is_done(self, settings: Mapping[str, Any]) -> bool:
        """Whether the cells are there. Raises `CellsError` where others are, and `redo` is not set."""
        try:
            return has_cells(self.piece.path, self.fingerprint(settings))
        except CellsError:
            if self.redo:
                return False
            raise

    def is_done_by_another(self, settings: Mapping[str, Any], begun: float) -> bool:
        """Whether another process has written the cells, after the time `begun` where they were others."""
        try:
            return replace(self, redo=False).is_done(settings)
        except CellsError as error:
            if self.piece.path.stat().st_mtime < begun:
                return False
            raise CellsError(
                f"{self.piece.path} was just written by another process, for other questions or in another "
                "way: all of them need the same data and the same recipe"
            ) from error


def do_jobs(
    model: Any,
    prompts: PromptFormat,
    jobs: Sequence[Job],
    settings: Mapping[str, Any],
    *,
    shard: Shard = ALONE,
    rows: int | None = None,
    work: Path,
    progress: Advance = lambda done: None,
) -> None:
    """Writes the cells of all jobs that are not done yet; returns when all are, those of others too.

    Of several processes each takes its turn of the jobs, and they meet in the files. `settings` is what
    cells depend on beside questions and jobs, such as the model's name. `rows`: of one forward pass at most;
    None: by free memory. `work`: a file of this process, to which a line is added for each job: its
    questions, token-forwards and seconds. Raises `CellsError` before anything is asked where other cells are
    in the way, and where another process writes others than this one would.
    """
    begun = time.time()
    missing = []
    for number, job in enumerate(jobs):
        if job.is_done(settings):
            progress(len(job.piece.questions))
        else:
            missing.append((number, job))
    others = []
    for number, job in missing:
        if number % shard.world_size != shard.rank:
            others.append(job)
            continue
        _do(model, prompts, job, settings, rows, work)
        progress(len(job.piece.questions))
    for job in others:
        while not job.is_done_by_another(settings, begun):
            time.sleep(_LOOK_AGAIN)
        progress(len(job.piece.questions))


def _do(
    model: Any, prompts: PromptFormat, job: Job, settings: Mapping[str, Any], rows: int | None, work: Path
) -> None:
    """Writes the cells of a job, what was moved, and what it took."""
    start = time.monotonic()
    path = job.piece.path
    swept = _sweep_piece(model, prompts, job, rows)
    if swept.activations:
        write_activations(activations_path(path), swept.activations)
    write_cells(path, swept.cells, fingerprint=job.fingerprint(settings))
    # With another limit the last questions were in another piece: every answer is there once.
    for old in path.parent.glob(f"{path.stem.split('-')[0]}-*"):
        if old.stem != path.stem:
            old.unlink()
    work.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "cells": "/".join(path.parts[-5:]),
        "questions": len(job.piece.questions),
        "token_forwards": swept.token_forwards,
        "seconds": round(time.monotonic() - start, 3),
    }
    add_lines(work, [line])


def cell_of(pair: LayerPair, layers: int, also_targets: Sequence[int] = ()) -> Cell:
    """The swaps of a pair at once: (i, j), and (i, j + n) for each n of `also_targets` within L layers."""
    source, target = pair
    targets = (target, *(target + further for further in also_targets))
    return tuple((source, layer) for layer in targets if layer < layers)


def grid_cells(layers: int, also_targets: Sequence[int] = ()) -> tuple[Cell, ...]:
    """All pairs of L layers, in the grid's order, and the model as it is, which comes first."""
    every = itertools.product(range(layers), range(layers))
    return ((), *(cell_of(pair, layers, also_targets) for pair in every))


class _Swept(NamedTuple):
    """Result of a piece."""

    cells: list[dict[str, Any]]  # rows
    activations: dict[str, tuple[Tensor, Tensor]]  # of each question, where they are kept
    token_forwards: int


def _sweep_piece(model: Any, prompts: PromptFormat, job: Job, rows: int | None) -> _Swept:
    piece, how = job.piece, job.how
    cells = how.cells
    if cells is None:
        cells = grid_cells(model.config.get_text_config().num_hidden_layers, how.also_targets)
    questions = [_for_engine(question, how, prompts) for question in piece.questions]
    kept: dict[str, tuple[Tensor, Tensor]] = {}
    written: list[dict[str, Any]] = []
    token_forwards = 0
    results = sweep(
        model,
        questions,
        cells,
        sublayer=how.sublayer,
        max_new_tokens=how.max_new_tokens,
        rows=rows,
        intervention=how.intervention,
    )
    for question, result in zip(piece.questions, results, strict=True):
        if not result.log_probabilities.isfinite().all():
            raise NonFiniteError(model, question.prompt.text)
        plain = functools.partial(answer_log_probabilities, model, torch.tensor(question.prompt.ids))
        written += cell_rows(
            question,
            piece.language,
            cells,
            result,
            prompts,
            job.metric,
            plain if how.plain and question.source else None,
            log_likelihood=how.log_likelihood,
        )
        if how.activations:
            source, target = result.source_activations, result.target_activations
            kept[str(question.item.id)] = (
                (source, target) if how.intervention.positions == 1 else (source[:, -1], target[:, -1])
            )
        token_forwards += result.token_forwards
    return _Swept(written, kept, token_forwards)


def _for_engine(question: ProbeQuestion, how: Sweeping, prompts: PromptFormat) -> PromptPair:
    # Without a source there is nothing to move, and the prompt stands for it.
    source = question.source or question.prompt
    options: TokenSequences = ()
    if how.options:
        options = question.option_ids or scored_answers(prompts, question.prompt.text, question.item.answers)
    return PromptPair(torch.tensor(source.ids), torch.tensor(question.prompt.ids), options)
