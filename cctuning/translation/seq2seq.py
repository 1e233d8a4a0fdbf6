"""NLLB and MADLAD: text by sentences through an engine that turns token ids into token ids."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, Protocol

import torch

from cctuning.data.batches import map_in_batches, pad
from cctuning.generation.finite import finite_logits
from cctuning.generation.rules import generating_by
from cctuning.pretrained.generation_config import end_tokens, greedy
from cctuning.translation.families import Family
from cctuning.translation.sentences import translate_by_sentence
from cctuning.translation.translator import Untranslated, not_ended, output_limit

LONGEST = 512  # tokens of a sentence: what NLLB and MADLAD were trained on


class Engine(Protocol):
    """Generates token ids. What else is in a batch changes nothing but the last bits."""

    limit: int  # tokens that it reads, and writes, at most

    def generate(
        self, ids: list[list[int]], first_token: int | None, *, max_new_tokens: int, beam_size: int
    ) -> list[list[int] | None]:
        """The output of each input without special tokens at its ends; None where it has no end in time."""


class Seq2SeqTranslator:
    """A translation model: text by sentences, sentences of like length in batches."""

    def __init__(
        self, engine: Engine, family: Family, *, model_name: str, beam_size: int = 1, batch_size: int = 16
    ) -> None:
        self.engine, self.family = engine, family
        self.beam_size, self.batch_size = beam_size, batch_size
        self._model_name = model_name
        self.name = f"{family.name}:{model_name}:beams={beam_size}"

    def with_beam_size(self, beam_size: int) -> Seq2SeqTranslator:
        """The same model with another beam size."""
        return Seq2SeqTranslator(
            self.engine,
            self.family,
            model_name=self._model_name,
            beam_size=beam_size,
            batch_size=self.batch_size,
        )

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str | Untranslated]:
        """As `Translator.translate`."""
        return translate_by_sentence(
            texts,
            lambda sentences: self._translate(sentences, source, target),
            lambda sentences: list(map(len, self.family.encode(sentences, source=source, target=target))),
            source=source,
            target=target,
            limit=self.engine.limit,
        )

    def _translate(self, sentences: Sequence[str], source: str, target: str) -> list[str | Untranslated]:
        ids = self.family.encode(sentences, source=source, target=target)
        first = self.family.first_token(target)
        results: dict[int, str | Untranslated] = {}
        translatable = []
        for number, sentence in enumerate(sentences):
            if token := self.family.control_token(sentence):
                reason = f"holds {token}, which the translator would read as a token of its own"
                results[number] = Untranslated(reason)
            else:
                translatable.append(number)

        def limit(number: int) -> int:
            return min(output_limit(len(ids[number])), self.engine.limit)

        for most, numbers in groupby(sorted(translatable, key=limit, reverse=True), key=limit):
            alike = list(numbers)
            generate = partial(
                self.engine.generate, first_token=first, max_new_tokens=most, beam_size=self.beam_size
            )
            wanted = [ids[number] for number in alike]
            outputs = map_in_batches(generate, wanted, list(map(len, wanted)), batch_size=self.batch_size)
            for number, output in zip(alike, outputs, strict=True):
                results[number] = Untranslated(not_ended(most)) if output is None else self._text(output)
        return [results[number] for number in range(len(sentences))]

    def _text(self, ids: list[int]) -> str:
        return str(self.family.tokenizer.decode(ids, skip_special_tokens=True)).strip()


class TransformersEngine:
    """A model of transformers."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        positions = getattr(model.config, "max_position_embeddings", LONGEST)
        self.limit = min(LONGEST, int(positions))

    def generate(
        self, ids: list[list[int]], first_token: int | None, *, max_new_tokens: int, beam_size: int
    ) -> list[list[int] | None]:
        """As `Engine.generate`."""
        rules = greedy(
            self.model.generation_config,
            forced_bos_token_id=first_token,
            max_new_tokens=max_new_tokens,
            num_beams=beam_size,
        )
        inputs, mask = pad(ids, self.model.config.pad_token_id)
        with (
            generating_by(self.model, rules),
            finite_logits(self.model, self.tokenizer, ids),
            torch.no_grad(),
        ):
            outputs = self.model.generate(
                input_ids=inputs.to(self.model.device),
                attention_mask=mask.to(self.model.device),
                generation_config=rules,
            )[:, 1:].tolist()  # without the decoder's start
        ends = end_tokens(rules)
        skipped = 0 if first_token is None else 1
        return [until(row, ends, skipped) for row in outputs]


def until(row: list[int], ends: list[int], skipped: int) -> list[int] | None:
    """A row's tokens before its end, without the first `skipped`."""
    places = [place for place, token in enumerate(row) if place >= skipped and token in ends]
    return row[skipped : places[0]] if places else None
