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


def cell_rows(
    question: ProbeQuestion,
    language: str,
    cells: Sequence[Cell],
    swept: Sweep,
    prompts: PromptFormat,
    metric: Metric,
    plain: Plain | None,
) -> list[dict[str, Any]]:
    """The rows of one question, a cell each, as `cells.store.SCHEMA` has them.

    A cell without swaps is the model as it is: of kind `target`, or `source` where nothing could have been
    transplanted. Each distinct answer is put into words, scored and given to `plain` once.
    """
    answers = [
        tuple(tokens[:length])
        for tokens, length in zip(swept.tokens.tolist(), swept.new_tokens.tolist(), strict=True)
    ]
    distinct = list(dict.fromkeys(answers))
    texts = {answer: prompts.response_text(answer) for answer in distinct}
    scores = {text: float(metric.score(text, question.item)) for text in set(texts.values())}
    under_plain = dict.fromkeys(distinct, None) if plain is None else _by_answer(distinct, plain(distinct))
    options = swept.option_log_probabilities.tolist() if question.option_ids else [None] * len(cells)
    right = _right(question, swept)
    log_probabilities = swept.log_probabilities.tolist()
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


def _by_answer(distinct: Sequence[tuple[int, ...]], values: Tensor) -> dict[tuple[int, ...], Any]:
    return dict(zip(distinct, values.tolist(), strict=True))
