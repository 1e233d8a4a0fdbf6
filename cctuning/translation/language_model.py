"""The language model itself as a translator: it is asked to translate.

Fine-tuning on prompts and responses in one language makes a model forget translation, so with LoRA it is the
base that is asked, without a connection. Translation rows in the training data, in the same words and
direction (`cctuning prepare settings mt --direction into_english`), keep the ability in a model that is
fine-tuned in full. They are English rows, which training connects to themselves (x_en = x), and so is what
is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from peft import PeftModel

from cctuning.connection.connected import is_connected, with_connection, without_connection
from cctuning.data.batches import map_in_batches
from cctuning.data.prompts import PromptFormat
from cctuning.generation.engine_model import EngineModel
from cctuning.generation.generate import generate_batch
from cctuning.generation.rules import stop_tokens
from cctuning.pretrained.loading import positions_of
from cctuning.translation.prompt import PROMPT, translation_prompt
from cctuning.translation.translator import TranslationError, Untranslated, not_ended, output_limit

_WORDS = hashlib.sha256(PROMPT.encode()).hexdigest()[:8]


class LanguageModelTranslator:
    """Asks `model` for translations in the chat template of `prompts`; a text is asked whole.

    `model` is one of transformers, or of an engine, which makes batches of its own. An adapter (`PeftModel`)
    is off while it translates, and the connection of its model too; for a connected model without one each
    prompt is its own English. `model_name` goes into the cache's key, so it has to tell apart models that
    differ; engine, connection, template, dtype and wording are added to it.
    """

    def __init__(
        self, model: Any, prompts: PromptFormat, *, model_name: str, beam_size: int = 1, batch_size: int = 16
    ) -> None:
        self.model, self.prompts = model, prompts
        self.beam_size, self.batch_size = beam_size, batch_size
        self._model_name = model_name
        how = str(model.dtype).removeprefix("torch.")
        if isinstance(model, EngineModel):
            how = f"{how}:engine={model.engine}"
            if beam_size != 1:
                raise TranslationError(f"beam_size={beam_size}: {model.engine} is asked greedily")
        if self._connected():
            how = f"{how}:connected"
        template = f"template={prompts.template_hash}:prompt={_WORDS}"
        self.name = f"self:{model_name}:{how}:{template}:beams={beam_size}"

    def with_beam_size(self, beam_size: int) -> LanguageModelTranslator:
        """The same model with another beam size."""
        return LanguageModelTranslator(
            self.model,
            self.prompts,
            model_name=self._model_name,
            beam_size=beam_size,
            batch_size=self.batch_size,
        )

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str | Untranslated]:
        """As `Translator.translate`."""
        wordings = [translation_prompt(text, source=source, target=target) for text in texts]
        ids = self.prompts.prompts_ids(wordings)
        sizes = map(len, self.prompts.responses_ids(texts))  # of the texts without the words around them
        results: dict[int, str | Untranslated] = {}
        by_limit: dict[int, list[int]] = {}
        for number, (text, prompt, size) in enumerate(zip(texts, ids, sizes, strict=True)):
            limit = output_limit(size)
            if fault := self._fault(text, len(prompt) + limit):
                results[number] = Untranslated(fault)
            else:
                by_limit.setdefault(limit, []).append(number)
        with without_fine_tuning(self.model):
            for limit, numbers in sorted(by_limit.items(), reverse=True):
                wanted = [ids[number] for number in numbers]
                generate = partial(self._generate, limit=limit)
                size = len(wanted) if isinstance(self.model, EngineModel) else self.batch_size
                outputs = map_in_batches(generate, wanted, list(map(len, wanted)), batch_size=size)
                results |= zip(numbers, outputs, strict=True)
        return [results[number] for number in range(len(texts))]

    def _fault(self, text: str, tokens: int) -> str | None:
        if token := self.prompts.control_token(text):
            return f"holds {token}, which the model's tokenizer would read as a token of its own"
        room: int | None
        if isinstance(self.model, EngineModel):
            room = self.model.positions
        else:
            room = positions_of(self.model.config)
        if room is not None and tokens > room:
            return f"needs {tokens:,} tokens with its translation, and the model has room for {room:,}"
        return None

    def _connected(self) -> bool:
        if isinstance(self.model, EngineModel):
            return self.model.connected
        return is_connected(self.model) and not isinstance(self.model, PeftModel)

    def _generate(self, ids: list[list[int]], limit: int) -> list[str | Untranslated]:
        beams: dict[str, Any] = {} if isinstance(self.model, EngineModel) else {"num_beams": self.beam_size}
        english = ids if self._connected() else None
        out = generate_batch(self.model, self.prompts, ids, english, max_new_tokens=limit, **beams)
        tokens = out.tokens.tolist()
        stops = set(stop_tokens(self.model, self.prompts))
        return [
            self.prompts.response_text(row) if stops & set(row) else Untranslated(not_ended(limit))
            for row in tokens
        ]


@contextmanager
def without_fine_tuning(model: Any) -> Iterator[None]:
    """A block in which an adapter is off and its model not connected; a connected model without one is."""
    with ExitStack() as restoring:
        if isinstance(model, PeftModel):
            restoring.enter_context(model.disable_adapter())
            restoring.enter_context(without_connection(model))
        elif not isinstance(model, EngineModel):  # of which it was decided when it was loaded
            restoring.enter_context(with_connection(model))
        yield
