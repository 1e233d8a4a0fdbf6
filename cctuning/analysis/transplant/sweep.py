"""Every layer into every layer: XTransplant (Ye et al., arXiv 2412.12686, section 3) for many pairs at once.

Everything before the target prompt's last token is the same in all cells. So both prompts are read once, and
then all cells are rows of one batch that starts with that token and goes on from one shared prefix: 20 L² +
P_S + P_T tokens go through the decoder for all L² pairs and 20 new tokens, whatever the prompts' lengths.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from cctuning.analysis.transplant.checks import (
    check_cells,
    check_new_tokens,
    check_pairs,
    check_question,
    check_sublayer,
)
from cctuning.analysis.transplant.copied_prefix import CopiedRows
from cctuning.analysis.transplant.decoding import Decoded, decode
from cctuning.analysis.transplant.interface import GoesPast
from cctuning.analysis.transplant.options import option_log_probabilities
from cctuning.analysis.transplant.plain import plain
from cctuning.analysis.transplant.questions import Cell, Question, Sweep
from cctuning.analysis.transplant.reading import Read, read_copied, read_sources, read_targets
from cctuning.analysis.transplant.rules import Rules, rules_of
from cctuning.analysis.transplant.shared_prefix import SharedRows
from cctuning.analysis.transplant.sublayer_outputs import layers_of, replaced
from cctuning.analysis.transplant.trees import Trees, trees_of


def transplant_sweep(
    model: Any,
    source_ids: Tensor,
    target_ids: Tensor,
    sublayer: str = "ffn",
    pairs: Sequence[Any] | None = None,
    max_new_tokens: int = 20,
) -> Tensor:
    """Greedy tokens (cells, new) of one question, padded after the end token.

    Row i * L + j has source layer i's output in place of target layer j's, at the prompts' last tokens.
    `source_ids` (P_S,) and `target_ids` (P_T,) are token ids. `pairs` names others than all L * L pairs: a
    list of (i, j), or of lists of (i, j) that are made at once.

    Raises `ValueError` as `sweep` does.
    """
    question = Question(source_ids, target_ids)
    with plain(model) as causal:
        cells = check_pairs(pairs, len(layers_of(causal)))
    (result,) = sweep(model, [question], cells, sublayer=sublayer, max_new_tokens=max_new_tokens)
    return result.tokens


def sweep(
    model: Any,
    questions: Sequence[Question],
    cells: Sequence[Cell] | None = None,
    *,
    sublayer: str = "ffn",
    max_new_tokens: int = 20,
    rows: int | None = None,
) -> Iterator[Sweep]:
    """What the model answers to each question in each cell, in the questions' order.

    The tokens are those of a hook and a greedy `generate` for each cell, logits processors and stopping
    criteria of the generation configuration included; sampling and beams of it are not. `cells` are all L * L
    pairs where None: row i * L + j for source layer i into target layer j. `rows` is how many of them are
    read at once; None: as many as free memory holds and the device is fast with. `max_new_tokens=0` only
    scores the questions' options.

    `sublayer` is what is moved: "ffn", "attention" (both before the residual is added), "block" (a layer's
    whole output), or "attention_residual" (the source's attention output plus its layer's input, in place of
    the target's attention output: what the code of the paper's authors does).

    Raises `ValueError` where a cell, a prompt, or the model cannot be swept.
    """
    questions = list(questions)
    with plain(model) as causal:
        check_sublayer(sublayer)
        layers = len(layers_of(causal))
        checked = check_pairs(None, layers) if cells is None else check_cells(cells, layers)
        check_new_tokens(max_new_tokens, bool(questions) and all(q.option_ids for q in questions))
        questions = [
            check_question(causal, question, f"questions[{number}]", max_new_tokens)
            for number, question in enumerate(questions)
        ]
    return _sweep(model, questions, checked, sublayer, max_new_tokens, rows)


def _sweep(
    model: Any,
    questions: Sequence[Question],
    cells: Sequence[Cell],
    sublayer: str,
    max_new_tokens: int,
    rows: int | None,
) -> Iterator[Sweep]:
    for question in questions:
        # The model is as it was whenever we are not asked for more.
        with plain(model) as causal:
            results = _batch(causal, [question], cells, sublayer, max_new_tokens, rows or 256)
        yield from results


def _batch(
    model: PreTrainedModel,
    questions: Sequence[Question],
    cells: Sequence[Cell],
    sublayer: str,
    max_new_tokens: int,
    rows: int,
) -> list[Sweep]:
    """Several questions; of a model that computes attention past our hands, one by one."""
    try:
        return _shared(model, questions, cells, sublayer, max_new_tokens, rows)
    except GoesPast:
        return [_copied(model, question, cells, sublayer, max_new_tokens, rows) for question in questions]


def _shared(
    model: PreTrainedModel,
    questions: Sequence[Question],
    cells: Sequence[Cell],
    sublayer: str,
    max_new_tokens: int,
    rows: int,
) -> list[Sweep]:
    """Several questions in one batch, or many cells in several, on shared prefixes."""
    targets = [question.target_ids for question in questions]
    target, prefix = read_targets(model, targets, sublayer)
    source = read_sources(model, [question.source_ids for question in questions], sublayer)
    rules = [rules_of(model, ids, max_new_tokens) for ids in targets] if max_new_tokens else []
    trees = trees_of([question.option_ids for question in questions])
    capacity = max(max_new_tokens, 1 + trees.tokens.shape[1])
    parts = []
    for chunk in _chunks(cells, max(1, rows // len(questions))):
        batch = SharedRows(model, prefix, len(chunk), capacity)
        parts.append(
            _rows(batch, questions, chunk, sublayer, source.activations, trees, rules, max_new_tokens)
        )
    return _results(parts, source, target)


def _copied(
    model: PreTrainedModel,
    question: Question,
    cells: Sequence[Cell],
    sublayer: str,
    max_new_tokens: int,
    rows: int,
) -> Sweep:
    """One question, whose prompt is copied for each row."""
    target, cache = read_copied(model, question.target_ids, sublayer)
    source = read_sources(model, [question.source_ids], sublayer)
    rules = [rules_of(model, question.target_ids, max_new_tokens)] if max_new_tokens else []
    trees = trees_of([question.option_ids])
    parts = []
    for chunk in _chunks(cells, rows):
        batch = CopiedRows(model, cache, len(chunk))
        parts.append(
            _rows(batch, [question], chunk, sublayer, source.activations, trees, rules, max_new_tokens)
        )
    return _results(parts, source, target)[0]


def _chunks(cells: Sequence[Cell], rows: int) -> list[Sequence[Cell]]:
    """The cells in as few parts of at most `rows` as it takes, none much smaller than another."""
    parts = -(-len(cells) // rows)
    bounds = [len(cells) * part // parts for part in range(parts + 1)]
    return [cells[start:stop] for start, stop in itertools.pairwise(bounds)]


def _rows(
    batch: Any,
    questions: Sequence[Question],
    cells: Sequence[Cell],
    sublayer: str,
    activations: Tensor,
    trees: Trees,
    rules: Sequence[Rules],
    max_new_tokens: int,
) -> tuple[Decoded, list[Tensor]]:
    """What some cells of a batch of questions give: answers, and scores of options."""
    model = batch.model
    last = torch.stack([question.target_ids[-1:] for question in questions]).to(model.device)
    with replaced(model, sublayer, [cells] * len(questions), activations):
        logits = batch.read(last.repeat_interleave(len(cells), 0))[:, -1]
    scores = option_log_probabilities(batch, logits, trees)
    return decode(batch, logits, rules, max_new_tokens), scores


def _results(parts: Sequence[tuple[Decoded, list[Tensor]]], source: Read, target: Read) -> list[Sweep]:
    results = []
    for question in range(len(source.tokens)):
        answers = []
        for decoded, _ in parts:
            count = len(decoded.tokens) // len(source.tokens)
            answers.append([tensor[question * count : (question + 1) * count] for tensor in decoded[:3]])
        tokens, new_tokens, log_probabilities = (torch.cat(own).cpu() for own in zip(*answers, strict=True))
        reads = sum(int(decoded.reads[question]) for decoded, _ in parts)
        results.append(
            Sweep(
                tokens=tokens,
                new_tokens=new_tokens,
                log_probabilities=log_probabilities,
                option_log_probabilities=torch.cat([scores[question] for _, scores in parts]).cpu(),
                source_activations=source.activations[question].cpu(),
                target_activations=target.activations[question].cpu(),
                token_forwards=source.tokens[question] + target.tokens[question] + reads,
            )
        )
    return results
