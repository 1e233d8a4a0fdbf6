"""A batch of questions under all cells: read, swapped, scored, decoded."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from cctuning.analysis.transplant.chunks import MemoryNeed, chunks, need, rows_that_fit
from cctuning.analysis.transplant.copied_prefix import CopiedRows
from cctuning.analysis.transplant.decoding import Decoded, Rows, decode
from cctuning.analysis.transplant.interface import GoesPast, attention_by
from cctuning.analysis.transplant.interventions import REPLACE, Intervention
from cctuning.analysis.transplant.options import option_log_probabilities
from cctuning.analysis.transplant.prefill_prompts import (
    Prefill,
    prefill_sources,
    prefill_targets,
    read_copied,
)
from cctuning.analysis.transplant.prompt_pairs import Cell, PromptPair, Sweep
from cctuning.analysis.transplant.rules import Rules, rules_of
from cctuning.analysis.transplant.shared_prefix import SharedRows
from cctuning.analysis.transplant.sublayer_outputs import PromptOutputs, intervened
from cctuning.analysis.transplant.trees import trees_of


@dataclass(frozen=True)
class Plan:
    """Cells and settings of a sweep, the same for every question."""

    cells: Sequence[Cell]
    sublayer: str
    max_new_tokens: int
    rows: int | None  # read at once; None: as many as free memory holds
    intervention: Intervention = REPLACE

    def need(self, model: PreTrainedModel, *, prompt: int, nodes: int, copied: bool = False) -> MemoryNeed:
        """What a row, with options of so many nodes, and its question take."""
        first = self.intervention.positions
        return need(model, prompt=prompt, suffix=self.suffix(nodes), nodes=max(nodes, first), copied=copied)

    def suffix(self, nodes: int) -> int:
        """The number of tokens that a row reads by itself."""
        return self.intervention.positions + max(self.max_new_tokens - 1, nodes)


def run(model: PreTrainedModel, questions: Sequence[PromptPair], plan: Plan) -> list[Sweep]:
    """Sweeps of a few questions, on shared prefixes; one by one where the model goes past our attention."""
    try:
        return _run(model, questions, plan, copied=False)
    except GoesPast:
        return [_run(model, [question], plan, copied=True)[0] for question in questions]


def _run(model: PreTrainedModel, questions: Sequence[PromptPair], plan: Plan, *, copied: bool) -> list[Sweep]:
    targets = [question.target_ids for question in questions]
    trees = trees_of([question.option_ids for question in questions])
    nodes = trees.tokens.shape[1]
    positions = plan.intervention.positions
    if copied:
        target, cache = read_copied(model, targets[0], plan.sublayer, positions)
    else:
        target, prefix = prefill_targets(model, targets, plan.sublayer, positions)
    sources = [question.source_ids for question in questions]
    source = prefill_sources(model, sources, plan.sublayer, positions)
    prompt_outputs = PromptOutputs(source.activations, target.activations)
    rules = _rules(model, targets, plan.max_new_tokens)

    needed = plan.need(model, prompt=len(targets[0]), nodes=nodes, copied=copied)
    rows = plan.rows or rows_that_fit(model, needed.row)
    # The rows of one question by the layer at which they begin to differ.
    layers = source.activations.shape[1]
    begins = [min((target for _, target in cell), default=layers) for cell in plan.cells]
    order = sorted(range(len(begins)), key=begins.__getitem__)
    parts = []
    for places in chunks(order, max(1, rows // len(questions))):
        cells = [plan.cells[place] for place in places]
        batch: Rows
        attention: AbstractContextManager[None]
        if copied:
            batch, attention = CopiedRows(model, cache, len(cells)), nullcontext()
        else:
            alone = [begins[place] for place in places] if len(questions) == 1 else None
            batch = shared = SharedRows(model, prefix, len(cells), plan.suffix(nodes), alone)
            attention = attention_by(model, shared)
        with attention:
            first = _first_logits(batch, targets, cells, plan, prompt_outputs)
            scores = option_log_probabilities(batch, first, trees)
            states = _states(len(questions), cells, last_layer=layers - 1)
            decoded = decode(batch, first, states, rules, plan.max_new_tokens)
        parts.append(_Part(decoded, scores, batch.token_forwards))
    back = torch.tensor(order).argsort()
    return [_result(question, parts, back, source, target) for question in range(len(questions))]


class _Part(NamedTuple):
    """Results of some cells for Q questions."""

    decoded: Decoded
    option_log_probabilities: list[Tensor]  # Q times (C, options)
    token_forwards: list[int]


def _rules(model: PreTrainedModel, prompts: Sequence[Tensor], max_new_tokens: int) -> list[Rules]:
    if max_new_tokens == 0:
        return []
    first = rules_of(model, prompts[0], max_new_tokens)
    if first.alike:
        return [first] * len(prompts)
    return [first, *(rules_of(model, prompt, max_new_tokens) for prompt in prompts[1:])]


def _first_logits(
    batch: Rows, prompts: Sequence[Tensor], cells: Sequence[Cell], plan: Plan, prompt_outputs: PromptOutputs
) -> Tensor:
    """Logits (R, V) after the prompts' last tokens, each row with its cell's swaps."""
    last = torch.stack([prompt[-plan.intervention.positions :] for prompt in prompts]).to(batch.model.device)
    with intervened(batch.model, plan.sublayer, [cells] * len(prompts), prompt_outputs, plan.intervention):
        return batch.read(last.repeat_interleave(len(cells), 0))[:, -1]


def _states(questions: int, cells: Sequence[Cell], *, last_layer: int) -> list[int]:
    """Which rows (R,) have the same keys and values: the last layer's output is in no key and no value."""
    known: dict[tuple[int, frozenset[tuple[int, int]]], int] = {}
    inner = [frozenset(swap for swap in cell if swap[1] != last_layer) for cell in cells]
    keys = [(question, swaps) for question in range(questions) for swaps in inner]
    return [known.setdefault(key, len(known)) for key in keys]


def _result(question: int, parts: Sequence[_Part], places: Tensor, source: Prefill, target: Prefill) -> Sweep:
    """One question's cells (C,), each at its place among those of all parts."""
    questions = len(source.tokens)
    decoded = [[tensor.chunk(questions)[question] for tensor in part.decoded] for part in parts]
    tokens, new_tokens, log_probabilities = (
        torch.cat(part).cpu()[places] for part in zip(*decoded, strict=True)
    )
    options = torch.cat([part.option_log_probabilities[question] for part in parts]).cpu()[places]
    return Sweep(
        tokens=tokens,
        new_tokens=new_tokens,
        log_probabilities=log_probabilities,
        option_log_probabilities=options,
        source_activations=_of_positions(source.activations[question].cpu()),
        target_activations=_of_positions(target.activations[question].cpu()),
        token_forwards=source.tokens[question]
        + target.tokens[question]
        + sum(part.token_forwards[question] for part in parts),
    )


def _of_positions(activations: Tensor) -> Tensor:
    """From (L, k, d), without the dimension of positions where there is one."""
    return activations[:, 0] if activations.shape[1] == 1 else activations
