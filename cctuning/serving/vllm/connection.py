"""The connection of an exported model, around a language model of vLLM's."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from cctuning.connection.modeling_cctuning import MonolingualConnection


class _Host(nn.Module):
    """Answers what the connection asks of a model of transformers."""

    def __init__(
        self, config: Any, layers: nn.ModuleList, embed: Callable[[Tensor], Tensor], factory: dict[str, Any]
    ) -> None:
        super().__init__()
        self.config = config
        self.dtype, self.device = factory["dtype"], factory["device"]
        # No submodules: they are the language model's.
        self._decoder = SimpleNamespace(get_submodule=lambda _path: layers)
        self._embed = lambda tokens: embed(tokens)

    def get_decoder(self) -> Any:
        """A stand-in, whose forward nobody calls."""
        return self._decoder

    def get_input_embeddings(self) -> Any:
        """Token ids to embeddings, as the first decoder layer is given them."""
        return self._embed


class ServedConnection(MonolingualConnection, _Host):  # type: ignore[misc]
    """The weights and `fuse` of a connection, without a forward of its own."""

    @torch.no_grad()
    def addend(
        self, outputs: Tensor, prompts: list[Tensor], *, transform: bool
    ) -> tuple[Tensor, list[int | None]]:
        """F (B, d) to be added, and the layer of each row (None for a mixture).

        `outputs` (B, L, d) are a model's own, where they are to be transformed, or those of English prompts,
        as the layers made them. `prompts` hold the tokens up to the response start, of B rows.
        """
        embedding = self._embeddings(prompts)
        vectors = self.fuse(self.standardised(outputs), embedding, transform=transform)
        assert self.last_selection is not None
        weight, layer = self.last_selection.weights.max(-1)
        chosen = zip(weight.tolist(), layer.tolist(), strict=True)
        return vectors, [number if share == 1 else None for share, number in chosen]

    def _embeddings(self, prompts: list[Tensor]) -> Tensor:
        """The e of eq. 3, (B, d)."""
        if self.connection.embedding == "last":
            last = torch.stack([ids[-1:] for ids in prompts])
            return self.input_embeddings({"input_ids": last}, last.new_zeros(len(last)))
        rows = [({"input_ids": ids[None]}, ids.new_tensor([len(ids) - 1])) for ids in prompts]
        return torch.cat([self.input_embeddings(*row) for row in rows])
