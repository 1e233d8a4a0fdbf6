"""Vectors of sentences, read from a model: what its layers make of a prompt."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cctuning.connection.connected import is_connected
from cctuning.connection.model import CCTuningModel
from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.data.batches import map_in_batches
from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import check_token
from cctuning.data.prompts import PromptFormat
from cctuning.generation.finite import NonFiniteError
from cctuning.pretrained.loading import positions_of


def represent(
    model: Any,
    prompts: PromptFormat,
    texts: Sequence[str],
    english: Sequence[str],
    *,
    layer: int = -1,
    pooling: str = "response_start",
    bilingual: bool = False,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float64]:
    """The representations (n, d) of `texts` as prompts, in their order.

    That is transformers' `hidden_states[layer + 1]`, the output of a decoder layer counted from 0; the last
    one's has gone through the final norm. `pooling`: at the response start, or the mean over the prompt's
    tokens. A connected model is connected as it stands: with `bilingual` through the `english` parallel of
    each text, else through its Transform Matrix, or not at all where it has none.

    Raises `ValueError` for a layer that is not there, a prompt beyond the model's positions, a token without
    an embedding, and `NonFiniteError` for vectors that are not finite.
    """
    config = model.config.get_text_config()
    check_layer(config, layer)
    ids, english_ids = prompts.prompts_ids(texts), prompts.prompts_ids(english)
    check_token(
        max(map(max, [*ids, *english_ids])), len(model.get_input_embeddings().weight), prompts.tokenizer
    )
    _check_lengths(ids, texts, positions_of(model.config))
    collator = ParallelCollator(prompts.pad_token_id)

    def vectors(numbers: list[int]) -> Tensor:
        # Padded on the right, where causal attention needs no mask.
        inputs = {"input_ids": collator.pad([ids[number] for number in numbers])[0].to(model.device)}
        if bilingual:
            inputs |= _english(model, collator, [english_ids[number] for number in numbers])
        lengths = torch.tensor([len(ids[number]) for number in numbers], device=model.device)
        hidden = _hidden_states(model, inputs, lengths)[layer % config.num_hidden_layers + 1]
        progress(len(numbers))
        return _pooled(hidden, lengths, pooling).cpu()

    rows = map_in_batches(vectors, range(len(ids)), list(map(len, ids)), batch_size=batch_size)
    return _finite(rows, model, texts, f"outputs of layer {layer}")


class SublayerOutputs(NamedTuple):
    """The connected sub-layer's outputs at the response starts of n prompts."""

    F: NDArray[np.float64]  # (n, L, d), as they enter the connection: centred and scaled where it is so set
    target: NDArray[np.float64]  # (n, d), the layer's own to whose the connection adds


@torch.no_grad()
def sublayer_outputs(
    model: Any,
    prompts: PromptFormat,
    texts: Sequence[str],
    *,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda count: None,
) -> SublayerOutputs:
    """F of eq. 2 of `texts` as prompts, in their order, before any Transform Matrix.

    That is every layer's output, of the connected sub-layer, at the response start. A plain `model` is
    connected in place, without parameters, and answers as it did. Raises as `represent` does.
    """
    if not is_connected(model):
        model = CCTuningModel.wrap(model, ConnectionConfig(pooling="mean"))
    ids = prompts.prompts_ids(texts)
    _check_lengths(ids, texts, positions_of(model.config))
    collator = ParallelCollator(prompts.pad_token_id)

    def outputs(numbers: list[int]) -> list[tuple[Tensor, Tensor]]:
        padded = collator.pad([ids[number] for number in numbers])
        raw = model.raw_outputs(*(tensor.to(model.device) for tensor in padded))
        progress(len(numbers))
        parts = (model.standardised(raw), raw[:, model.connection.target_layer])
        return list(zip(*(part.double().cpu() for part in parts), strict=True))

    rows = map_in_batches(outputs, range(len(ids)), list(map(len, ids)), batch_size=batch_size)
    F, target = zip(*rows, strict=True)
    return SublayerOutputs(*(_finite(part, model, texts, "feed-forward outputs") for part in (F, target)))


def _finite(rows: Sequence[Tensor], model: Any, texts: Sequence[str], outputs: str) -> NDArray[np.float64]:
    """The rows in one array. Raises `NonFiniteError` with the first text whose `outputs` are not finite."""
    vectors = torch.stack(list(rows))
    finite = vectors.isfinite().flatten(1).all(1)
    if not finite.all():
        raise NonFiniteError(model, texts[int(finite.long().argmin())], outputs)
    return np.asarray(vectors.numpy())


def check_layer(config: Any, layer: int) -> None:
    """Raises `ValueError` where a model with this configuration has no such layer."""
    layers = config.get_text_config().num_hidden_layers
    if not -layers <= layer < layers:
        raise ValueError(f"layer={layer} is not one of the model's {layers} layers")


def _check_lengths(ids: Sequence[Sequence[int]], texts: Sequence[str], positions: int | None) -> None:
    longest = max(range(len(ids)), key=lambda number: len(ids[number]))
    if positions is not None and len(ids[longest]) > positions:
        raise ValueError(
            f"a sentence has {len(ids[longest]):,} tokens, and the model positions for {positions:,}: "
            f"{texts[longest][:60]!r}. Choose shorter texts"
        )


def _english(model: Any, collator: ParallelCollator, ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    batch = collator.collate_english(ids)
    return {
        name: value.to(model.device) if isinstance(value, Tensor) else [t.to(model.device) for t in value]
        for name, value in batch.items()
    }


@torch.no_grad()
def _hidden_states(model: Any, inputs: dict[str, Any], lengths: Tensor) -> Sequence[Tensor]:
    """L + 1 times (b, T, d). Of the decoder alone: nothing is predicted, so the LM head may rest."""
    if is_connected(model):
        inputs = inputs | {"connection_index": lengths - 1}
    result = model.get_decoder()(**inputs, use_cache=False, output_hidden_states=True)
    return list(result.hidden_states)


def _pooled(hidden: Tensor, lengths: Tensor, pooling: str) -> Tensor:
    """(b, d) of (b, T, d), in float64."""
    if pooling == "response_start":
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1].double()
    prompt = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    return torch.einsum("btd,bt->bd", hidden.double(), prompt.double()) / lengths[:, None]
