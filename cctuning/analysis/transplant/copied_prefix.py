"""Rows that each hold a copy of their prompt, for models whose attention nobody else can compute.

The same as `shared_prefix.SharedRows` for one question, with memory and time that grow with the prompt for
every row.
"""

import copy
import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from cctuning.analysis.transplant.trees import Trees


class CopiedRows:
    """A batch of C rows of one question. Logits come at least in float32."""

    questions = 1

    def __init__(self, model: PreTrainedModel, cache: DynamicCache, slots: int) -> None:
        self.model = model
        self.slots = slots
        self.token_forwards = [0]
        self._cache = _fork(cache) if cache.get_seq_length() else DynamicCache()
        self._cache.batch_repeat_interleave(slots)

    def read(self, tokens: Tensor) -> Tensor:
        """Logits (C, n, V) after each of the rows' next tokens (C, n)."""
        return self._read(tokens, self._cache)

    def _read(self, tokens: Tensor, cache: DynamicCache) -> Tensor:
        self.token_forwards[0] += tokens.numel()
        seen, new = cache.get_seq_length(), tokens.shape[1]
        given = {}
        if "position_ids" in inspect.signature(self.model.forward).parameters:
            positions = torch.arange(seen, seen + new, device=tokens.device)
            given["position_ids"] = positions.expand(len(tokens), -1)
        logits = self.model(input_ids=tokens, past_key_values=cache, use_cache=True, **given).logits
        return logits if logits.dtype == torch.float64 else logits.float()

    def after(self, trees: Trees) -> Tensor:
        """Logits (C, n, V) after each node of a tree that follows all rows; they do not stay."""
        parts: dict[int, Tensor] = {}
        for sequence in trees.predictions[0]:
            nodes = [node for node, _ in sequence[1:]]
            if not nodes or nodes[-1] in parts:
                continue
            tokens = trees.tokens[:1, nodes].expand(self.slots, -1).to(self.model.device)
            logits = self._read(tokens, _fork(self._cache))
            parts |= {node: logits[:, place] for place, node in enumerate(nodes)}
        return torch.stack([parts[node] for node in range(len(parts))], 1)

    def keep(self, questions: Sequence[int], rows: Tensor) -> None:
        """Goes on with some of the rows (1, C')."""
        del questions
        self.slots = rows.shape[1]
        self._cache.batch_select_indices(rows.flatten())


def _fork(cache: DynamicCache) -> DynamicCache:
    """A cache that grows by itself: dynamic layers make new tensors when tokens come in."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin
