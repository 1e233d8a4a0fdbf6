"""XTransplant of one question: a model, two prompts and right answers in, a map of all layer pairs out."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cctuning.analysis.lens.logit_lens import logit_lens
from cctuning.analysis.lens.page import ShownLens
from cctuning.analysis.probing.right_answers import answer_sequences, right_log_probabilities
from cctuning.analysis.probing.sweeping import cell_of, grid_cells
from cctuning.analysis.question.result import Answered, PairAnswers, QuestionResult
from cctuning.analysis.transplant import Cell, Intervention, PromptPair, sweep
from cctuning.analysis.transplant.interventions import REPLACE, Change
from cctuning.analysis.transplant.plain import plain
from cctuning.analysis.transplant.sublayer_outputs import layers_of
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.paper import contains_answer
from cctuning.generation.finite import NonFiniteError
from cctuning.generation.rules import generating_by, greedy_rules


class XTransplant:
    """Transplants between two prompts of one's own.

    `model` is a causal language model of transformers, with or without an adapter; a connected one is asked
    without its connection. It stays as it is. `template` and `template_arguments` are those of every command
    (`cctuning.data.templates.choose_template`).

    Raises what `choose_template` and `PromptFormat` raise.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        template: str = "auto",
        template_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        tokenizer = copy.deepcopy(tokenizer)  # which gets the template
        choose_template(tokenizer, template, template_arguments)
        self.model = model
        self.prompts = PromptFormat(tokenizer)

    def __call__(
        self,
        source: str,
        target: str,
        answers: Sequence[str],
        *,
        sublayers: Sequence[str] = ("ffn",),
        max_new_tokens: int = 20,
        rows: int | None = None,
        intervention: str | Change | Intervention = REPLACE,
        also_targets: Sequence[int] = (),
    ) -> QuestionResult:
        """What the model answers to `target` with each layer's output replaced by each layer's from `source`.

        `answers` are the texts that would be right: one of them has to be in a response, and how likely a
        response is to begin with one is the colour of the map. `sublayers`: whose outputs are moved, as of
        `sweep`; so are `max_new_tokens`, `rows` and `intervention`, what is made of them. With `also_targets`
        layer i goes into layer j and, at once, so many layers further: (i, j), (i, j + 1) with [1].

        Raises `ValueError` for texts that hold special tokens, and where `sweep` does.
        """
        if isinstance(answers, str) or not answers:
            raise ValueError(f"answers={answers!r} must be a list with at least one right answer")
        if isinstance(sublayers, str) or not sublayers:
            raise ValueError(f"sublayers={sublayers!r} must be a list with at least one sub-layer")
        self._check_texts(source=source, target=target, **{f"the answer {text!r}": text for text in answers})
        item = Item("question", "", target, source, tuple(answers))
        intervention = Intervention.of(intervention)
        ask = functools.partial(
            self._sweep, item=item, max_new_tokens=max_new_tokens, rows=rows, intervention=intervention
        )
        with plain(self.model) as causal:
            layers = len(layers_of(causal))
        every = grid_cells(layers, also_targets)
        with generating_by(self.model, greedy_rules(self.model, self.prompts)):
            (in_source,) = ask(source, source, cells=[()], sublayer=sublayers[0])
            swept = {
                sublayer: ask(source, target, cells=every, sublayer=sublayer)
                for sublayer in dict.fromkeys(sublayers)
            }
        return QuestionResult(
            source=source,
            target=target,
            answers=tuple(answers),
            original=next(iter(swept.values()))[0],
            in_source=in_source,
            grids={sublayer: _grid(answered[1:]) for sublayer, answered in swept.items()},
            read_lens=functools.partial(
                self._lens,
                source,
                target,
                cell=functools.partial(cell_of, layers=layers, also_targets=also_targets),
                max_new_tokens=max_new_tokens,
                intervention=intervention,
            ),
        )

    def _check_texts(self, **named: str) -> None:
        """Raises `ValueError` for a text that is empty or holds a special token."""
        for name, text in named.items():
            if not text.strip():
                raise ValueError(f"{name} is empty")
            if token := self.prompts.control_token(text):
                raise ValueError(f"{name} spells out {token}, which the tokenizer reads as the token itself")

    def _sweep(
        self,
        source: str,
        target: str,
        *,
        item: Item,
        cells: Sequence[Cell],
        sublayer: str,
        max_new_tokens: int,
        rows: int | None,
        intervention: Intervention,
    ) -> list[Answered]:
        """The answers under some cells."""
        right = answer_sequences(self.prompts, target, item.answers)
        pair = PromptPair(self._ids(source), self._ids(target), right)
        (swept,) = sweep(
            self.model,
            [pair],
            cells,
            sublayer=sublayer,
            max_new_tokens=max_new_tokens,
            rows=rows,
            intervention=intervention,
        )
        if not swept.log_probabilities.isfinite().all():
            raise NonFiniteError(self.model, target)
        likely = right_log_probabilities(swept.option_log_probabilities).tolist()
        answers = []
        for tokens, length, nats in zip(
            swept.tokens.tolist(), swept.new_tokens.tolist(), likely, strict=True
        ):
            text = self.prompts.response_text(tokens[:length])
            answers.append(Answered(text, contains_answer(text, item) == 1.0, nats))
        return answers

    def _ids(self, text: str) -> Tensor:
        return torch.tensor(self.prompts.prompt_ids(text))

    def _lens(
        self,
        source: str,
        target: str,
        pair: tuple[int, int],
        sublayer: str,
        *,
        cell: Callable[[tuple[int, int]], Cell],
        max_new_tokens: int,
        intervention: Intervention,
    ) -> ShownLens:
        with generating_by(self.model, greedy_rules(self.model, self.prompts)):
            lens = logit_lens(
                self.model,
                self.prompts.tokenizer,
                self._ids(source),
                self._ids(target),
                cell(pair),
                sublayer=sublayer,
                new_tokens=min(max_new_tokens, 5),
                intervention=intervention,
            )
        return ShownLens(**vars(lens))


def _grid(answers: Sequence[Answered]) -> PairAnswers:
    """The answers of all pairs, in the grid's order."""
    layers = round(len(answers) ** 0.5)
    texts = [answered.text for answered in answers]
    return PairAnswers(
        texts=tuple(tuple(texts[start : start + layers]) for start in range(0, len(texts), layers)),
        correct=np.array([answered.correct for answered in answers]).reshape(layers, layers),
        log_probability=np.array([answered.log_probability for answered in answers]).reshape(layers, layers),
    )
