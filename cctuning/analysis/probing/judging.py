"""Answers of the engine as rows of cells: their text, their score, their log-probabilities."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from cctuning.analysis.probing.right_answers import right_log_probabilities
from cctuning.analysis.probing.tasks import ProbeQuestion
from cctuning.analysis.transplant import Cell, Sweep
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.items.benchmark import Metric

# Distinct answers, as tokens -> their log-probabilities under the model as it is (answers,), in nats.
Plain = Callable[[Sequence[Sequence[int]]], Tensor]
Answered = tuple[list[tuple[int, ...]], list[float]]  # of each cell: tokens, and their nats in it


def cell_rows(
    question: ProbeQuestion,
    language: str,
    cells: Sequence[Cell],
    swept: Sweep,
    prompts: PromptFormat,
    metric: Metric,
    plain: Plain | None,
    *,
    log_likelihood: bool = False,
) -> list[dict[str, Any]]:
    """The rows of one question, a cell each, as `cells.store.SCHEMA` has them.

    A cell without swaps is the model as it is: of kind `target`, or `source` where nothing could have been
    transplanted. Each distinct answer is put into words, scored and given to `plain` once. With
    `log_likelihood` the answer is the likeliest option, and what was written does not count; the cell without
    swaps then knows all options as `plain` would.
    """
    answers, log_probabilities = _likeliest(question, swept) if log_likelihood else _written(swept)
    distinct = list(dict.fromkeys(answers))
    texts = {answer: prompts.response_text(answer) for answer in distinct}
    scores = {text: float(metric.score(text, question.item)) for text in set(texts.values())}
    under_plain: dict[tuple[int, ...], float | None] = dict.fromkeys(distinct, None)
    if plain is not None:
        if log_likelihood:
            under_plain |= _of_options(question, cells, swept)
        else:
            under_plain |= dict(zip(distinct, plain(distinct).tolist(), strict=True))
    options = swept.option_log_probabilities.tolist() if question.option_ids else [None] * len(cells)
    right = _right(question, swept)
    as_it_is = "target" if question.source else "source"
    rows = []
    for cell, answer, log_probability, of_options, of_right in zip(
        cells, answers, log_probabilities, options, right, strict=True
    ):
        text = texts[answer]
        rows.append(
            {
                "question": str(question.item.id),
                "language": language,
                "kind": "transplant" if cell else as_it_is,
                "source_layer": cell[0][0] if cell else None,
                "target_layer": cell[0][1] if cell else None,
                "tokens": list(answer),
                "text": text,
                "log_probability": log_probability,
                "plain_log_probability": under_plain[answer],
                "option_log_probabilities": of_options,
                "score": scores[text],
                "correct": math.isclose(scores[text], 1.0),
                "right_log_probability": of_right,
            }
        )
    return rows


def _written(swept: Sweep) -> Answered:
    """The answer that each cell wrote."""
    tokens, lengths = swept.tokens.tolist(), swept.new_tokens.tolist()
    answers = [tuple(ids[:length]) for ids, length in zip(tokens, lengths, strict=True)]
    return answers, swept.log_probabilities.tolist()


def _likeliest(question: ProbeQuestion, swept: Sweep) -> Answered:
    """The option that each cell finds likeliest, of options alike the first."""
    nats, places = swept.option_log_probabilities.max(-1)
    return [question.option_ids[place] for place in places.tolist()], nats.tolist()


def _of_options(question: ProbeQuestion, cells: Sequence[Cell], swept: Sweep) -> dict[tuple[int, ...], float]:
    """The nats of the options under the model as it is."""
    nats = swept.option_log_probabilities[list(cells).index(())].tolist()
    return dict(zip(question.option_ids, nats, strict=True))


def _right(question: ProbeQuestion, swept: Sweep) -> list[float] | list[None]:
    """The nats of beginning with a right answer, of each cell; None where nothing was scored.

    Of a choice the right option's, else those of all that was scored: right answers (`right_answers`).
    """
    scored = swept.option_log_probabilities
    if not scored.shape[1]:
        return [None] * len(scored)
    if question.option_ids:
        place = list(question.item.options or ()).index(question.item.answers[0])
        scored = scored[:, place : place + 1]
    return right_log_probabilities(scored).tolist()
