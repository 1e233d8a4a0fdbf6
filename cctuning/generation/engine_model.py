"""Models that run in an engine of their own, asked as those of transformers are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import GenerationConfig

from cctuning.data.prompts import PromptFormat

TokenIds = Sequence[Sequence[int]]
NOT_CONNECTED, MIXTURE = -2, -1  # in place of a chosen layer


class Generated(NamedTuple):
    """Output of a model for a batch of prompts."""

    tokens: Tensor  # (b, new), padded after the end of each response
    layers: Tensor  # (b,), the layer chosen, from 0; MIXTURE or NOT_CONNECTED


class EngineModel(ABC):
    """A model behind an engine. `generation_config` is the one that it came with."""

    device = torch.device("cpu")  # of what comes back
    generation_config: GenerationConfig
    engine: str  # its name
    dtype: torch.dtype
    positions: int  # for a prompt and its response
    connected: bool  # whether it takes English prompts

    @abstractmethod
    def generate_batch(
        self, prompts: PromptFormat, ids: TokenIds, english_ids: TokenIds | None, *, max_new_tokens: int
    ) -> Generated:
        """Greedy responses to tokenised prompts, as `generate.generate_batch` gives them."""

    @abstractmethod
    def log_likelihoods(
        self, ids: TokenIds, english_ids: TokenIds | None, option_ids: Sequence[TokenIds]
    ) -> Tensor:
        """The log p(option | prompt) in nats, (b, n): n the most options of one, NaN beyond its own."""
