"""Every layer into every layer: XTransplant (Ye et al., arXiv 2412.12686, section 3) for many pairs at once.

Everything before the target prompt's last token is the same in all cells. So both prompts are read once, and
then all cells are rows of one batch that starts with that token and goes on from one shared prefix: 20 L² +
P_S + P_T tokens go through the decoder for all L² pairs and 20 new tokens, whatever the prompts' lengths.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from cctuning.analysis.transplant.batch import Plan, run
from cctuning.analysis.transplant.checks import (
    check_cells,
    check_new_tokens,
    check_pairs,
    check_question,
    check_rows,
    check_sublayer,
    depends_on_the_longest,
)
from cctuning.analysis.transplant.chunks import batches, questions_that_fit
from cctuning.analysis.transplant.interventions import REPLACE, Change, Intervention
from cctuning.analysis.transplant.plain import plain
from cctuning.analysis.transplant.prompt_pairs import Cell, PromptPair, Sweep
from cctuning.analysis.transplant.sublayer_outputs import layers_of


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
    question = PromptPair(source_ids, target_ids)
    with plain(model) as causal:
        cells = check_pairs(pairs, len(layers_of(causal)))
    (result,) = sweep(model, [question], cells, sublayer=sublayer, max_new_tokens=max_new_tokens)
    return result.tokens


def sweep(
    model: Any,
    questions: Sequence[PromptPair],
    cells: Sequence[Cell] | None = None,
    *,
    sublayer: str = "ffn",
    max_new_tokens: int = 20,
    rows: int | None = None,
    intervention: str | Change | Intervention = REPLACE,
) -> Iterator[Sweep]:
    """The model's answers to each question in each cell, in the questions' order.

    The tokens are those of a hook and a greedy `generate` for each cell, logits processors and stopping
    criteria of the generation configuration included; sampling and beams of it are not. `cells` are all L * L
    pairs where None: row i * L + j for source layer i into target layer j. `rows` is how many of them are
    read at once; None: as many as free memory holds and the device is fast with. `max_new_tokens=0` only
    scores the questions' options.

    `sublayer` is what is moved: "ffn", "attention" (both before the residual is added), "block" (a layer's
    whole output), or "attention_residual" (the source's attention output plus its layer's input, in place of
    the target's attention output: what the code of the paper's authors does). `intervention` is what is made
    of it: one of `INTERVENTIONS`, a function of a `Site`, or an `Intervention` with a scale or positions.

    Raises `ValueError` where a cell, a prompt, or the model cannot be swept.
    """
    questions = list(questions)
    with plain(model) as causal:
        check_sublayer(sublayer)
        layers = len(layers_of(causal))
        checked = check_pairs(None, layers) if cells is None else check_cells(cells, layers)
        check_new_tokens(max_new_tokens, bool(questions) and all(q.option_ids for q in questions))
        check_rows(rows)
        intervention = Intervention.of(intervention)
        questions = [
            check_question(causal, question, f"questions[{number}]", max_new_tokens, intervention.positions)
            for number, question in enumerate(questions)
        ]
    return _sweep(model, questions, Plan(checked, sublayer, max_new_tokens, rows, intervention))


def _sweep(model: Any, questions: Sequence[PromptPair], plan: Plan) -> Iterator[Sweep]:
    with plain(model) as causal:
        together = _questions_at_once(causal, questions, plan)
    lengths = [len(question.target_ids) for question in questions]
    for group in batches(lengths, together):
        results: dict[int, Sweep] = {}
        for places in group:
            # The model is as it was whenever we are not at work.
            with plain(model) as causal:
                swept = run(causal, [questions[place] for place in places], plan)
            results |= dict(zip(places, swept, strict=True))
        yield from (results[place] for place in sorted(results))


def _questions_at_once(model: PreTrainedModel, questions: Sequence[PromptPair], plan: Plan) -> int:
    """The number of questions that share a batch: more than one where their cells leave room for it."""
    if depends_on_the_longest(model):
        return 1
    cells = len(plan.cells)
    prompt = max((len(question.target_ids) for question in questions), default=1)
    nodes = max((sum(map(len, question.option_ids)) for question in questions), default=0)
    needed = plan.need(model, prompt=prompt, nodes=nodes)
    return max(1, plan.rows // cells) if plan.rows else questions_that_fit(model, needed, cells)
