"""Rules of a model's generation configuration for choosing tokens and for stopping."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    EosTokenCriteria,
    MaxLengthCriteria,
    StoppingCriteria,
    SynthIDTextWatermarkLogitsProcessor,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)
from transformers.generation.configuration_utils import GenerationMode

from cctuning.analysis.transplant.interface import errors_only

_NOT_ROW_BY_ROW = {
    UnbatchedClassifierFreeGuidanceLogitsProcessor: "guidance_scale",
    SynthIDTextWatermarkLogitsProcessor: "watermarking_config",
}


@dataclass(frozen=True)
class Rules:
    """For one prompt: how greedy tokens are chosen, and when a row ends."""

    prompt: Tensor  # (P,)
    processors: Any  # LogitsProcessorList
    criteria: tuple[StoppingCriteria, ...]  # other than the end token and the number of tokens
    end_tokens: Tensor  # (ends,)
    pad: int

    def choose(self, written: Tensor, logits: Tensor) -> Tensor:
        """Tokens (C,) from logits (C, V) of rows that have written (C, t)."""
        # In float32, as `generate` does.
        if self.processors:
            logits = self.processors(self._ids(written), logits.to(torch.float32, copy=True))
        return logits.to(torch.float32).argmax(-1)

    def ended(self, written: Tensor, logits: Tensor) -> Tensor:
        """Whether each row (C,) ends with the last token that it has written, (C, t)."""
        ended = torch.isin(written[:, -1], self.end_tokens)
        for criterion in self.criteria:
            ended |= criterion(self._ids(written), logits)
        return ended

    def _ids(self, written: Tensor) -> Tensor:
        return torch.cat([self.prompt.expand(len(written), -1), written], -1)

    @property
    def alike(self) -> bool:
        """Whether rows of other prompts are treated the same."""
        return not self.processors and not self.criteria


def rules_of(model: Any, prompt: Tensor, max_new_tokens: int) -> Rules:
    """The rules of `generate` after this prompt (P,), greedily, without generating.

    Raises `ValueError` where the generation configuration asks for something else than greedy decoding of one
    row at a time.
    """
    prompt = prompt.to(model.device)
    taken: dict[str, Any] = {}

    def take(_model: Any, input_ids: Tensor, **given: Any) -> Tensor:
        taken.update(given)
        return input_ids

    with errors_only():  # no warnings of sampling parameters without sampling, for every question
        model.generate(
            prompt[None],
            attention_mask=torch.ones_like(prompt)[None],
            custom_generate=take,
            do_sample=False,
            num_beams=1,
            num_return_sequences=1,
            use_cache=False,
            max_new_tokens=max_new_tokens,
        )
    config = taken["generation_config"]
    mode = config.get_generation_mode()
    if mode not in (GenerationMode.GREEDY_SEARCH, GenerationMode.ASSISTED_GENERATION):
        raise ValueError(f"the generation configuration asks for {mode.value}: a sweep decodes greedily")
    processors = taken["logits_processor"]
    for processor in processors:
        if setting := _NOT_ROW_BY_ROW.get(type(processor)):
            raise ValueError(
                f"{setting} of the generation configuration cannot be applied to many rows at once: set "
                "it to None for the sweep"
            )
    criteria = taken["stopping_criteria"]
    ends: list[int] = []
    for criterion in criteria:
        if isinstance(criterion, EosTokenCriteria):
            ends += criterion.eos_token_id.flatten().tolist()
    others = tuple(c for c in criteria if not isinstance(c, EosTokenCriteria | MaxLengthCriteria))
    pad = config.pad_token_id
    pad = pad if pad is not None else (ends[0] if ends else 0)
    return Rules(prompt, processors, others, torch.tensor(ends, device=prompt.device).long(), pad)


def choose(rules: Sequence[Rules], written: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (R,) from logits (R, V) of rows that have written (R, t), and whether each row ends with it.

    The rows of a question follow one another, as many for each of `rules`.
    """
    if rules[0].alike:  # the configuration is one, so all are
        tokens = rules[0].choose(written, logits)
        return tokens, rules[0].ended(tokens[:, None], logits)
    parts = []
    for rule, before, scores in zip(rules, written.chunk(len(rules)), logits.chunk(len(rules)), strict=True):
        tokens = rule.choose(before, scores)
        parts.append((tokens, rule.ended(torch.cat([before, tokens[:, None]], -1), scores)))
    tokens, ended = (torch.cat(part) for part in zip(*parts, strict=True))
    return tokens, ended
