"""NLLB and MADLAD by CTranslate2, which is faster than transformers, most of all on CPUs."""

from pathlib import Path
from typing import Any

import ctranslate2
import torch

from cctuning.translation.seq2seq import LONGEST, until


class CTranslate2Engine:
    """A model that CTranslate2 has converted; `tokenizer` gives the tokens that it goes by."""

    def __init__(self, folder: str | Path, tokenizer: Any, *, device: str, compute_type: str) -> None:
        # The folder does not say how many positions the model has; beyond them CTranslate2 fails.
        self.limit = min(LONGEST, int(tokenizer.model_max_length) - 2)
        self._tokenizer = tokenizer
        self._model = ctranslate2.Translator(
            str(folder),
            device=device,
            compute_type="default" if compute_type == "auto" else compute_type,
            intra_threads=torch.get_num_threads(),
        )
        self.compute_type = str(self._model.compute_type)

    def generate(
        self, ids: list[list[int]], first_token: int | None, *, max_new_tokens: int, beam_size: int
    ) -> list[list[int] | None]:
        """As `Engine.generate`."""
        name = self._tokenizer.convert_ids_to_tokens
        results = self._model.translate_batch(
            [name(row) for row in ids],
            target_prefix=None if first_token is None else [[name(first_token)]] * len(ids),
            beam_size=beam_size,
            max_input_length=0,  # 0: nothing is cut
            min_decoding_length=0,
            max_decoding_length=max_new_tokens,
            return_end_token=True,
        )
        outputs = [self._tokenizer.convert_tokens_to_ids(result.hypotheses[0]) for result in results]
        skipped = 0 if first_token is None else 1
        return [until(row, [self._tokenizer.eos_token_id], skipped) for row in outputs]
