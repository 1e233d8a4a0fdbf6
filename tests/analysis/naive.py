"""XTransplant written a second time, from its description: a hook and `generate` for each pair of layers.

Nothing here imports `cctuning`; where a sub-layer's output is stands in `tests.naive`. Prompts are 1-D
tensors of token ids, layers count from 0. A swap (i, j) puts the output of the source prompt's layer i in
place of the target prompt's at layer j: at the prompt's last token, in the forward that predicts the first
new token. Letters: P prompt tokens, L layers, d hidden size.

`sublayer` is "ffn", "attention", "block", or "attention_residual": there the source's attention output plus
what came into its layer takes the place of the target's attention output alone, and the target's layer adds
its own input as always. That is what the code of the paper's authors does: the tensor that it records is the
one to which its layer then adds the residual in place.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.naive import layers_of, sublayer_module

Swap = tuple[int, int]  # (source layer, target layer)


def tokens_read(model: PreTrainedModel) -> list[int]:
    """(L,): the tokens that each layer reads from now on, padding and all rows."""
    counts = [0] * len(layers_of(model))

    def count(layer: int, output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        counts[layer] += hidden.shape[:2].numel()

    for number, layer in enumerate(layers_of(model)):
        layer.register_forward_hook(lambda _, __, output, number=number: count(number, output))
    return counts


@torch.no_grad()
def source_outputs(
    model: PreTrainedModel, ids: Tensor, sublayer: str, positions: int | None = None
) -> Tensor:
    """(L, d): what is moved, from a forward of the source prompt (P,) on its own.

    With `positions` the last so many tokens': (L, positions, d).
    """
    at = -1 if positions is None else slice(-positions, None)
    with_residual = sublayer == "attention_residual"
    inputs, outputs = [], []
    handles = []
    for layer, block in enumerate(layers_of(model)):
        module = sublayer_module(model, layer, "attention" if with_residual else sublayer)
        handles += [
            block.register_forward_pre_hook(
                lambda _, args, kwargs: inputs.append((*args, *kwargs.values())[0][0, at].clone()),
                with_kwargs=True,
            ),
            module.register_forward_hook(
                lambda _, args, output: outputs.append(_tensor_of(output)[0, at].clone())
            ),
        ]
    model(input_ids=ids[None], use_cache=False)
    for handle in handles:
        handle.remove()
    return torch.stack(outputs) + (torch.stack(inputs) if with_residual else 0)


@contextmanager
def replaced(
    model: PreTrainedModel, swaps: Sequence[Swap], sublayer: str, outputs: Tensor, at: int
) -> Iterator[None]:
    """Inside the block the first forward has `outputs[i]` in place of layer j's output at token `at`."""
    with changed(model, swaps, sublayer, lambda _, source: outputs[source], at):
        yield


@contextmanager
def changed(
    model: PreTrainedModel,
    swaps: Sequence[Swap],
    sublayer: str,
    change: Callable[[Tensor, int], Tensor],
    at: int | slice,
) -> Iterator[None]:
    """The same with `change(own, i)`, where `own` is what layer j itself gives at token(s) `at`."""

    def hooked(source: int, layer: int) -> Any:
        module = sublayer_module(model, layer, "attention" if sublayer == "attention_residual" else sublayer)

        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            handle.remove()
            put = _tensor_of(output).clone()
            put[0, at] = change(put[0, at].clone(), source)
            return (put, *output[1:]) if isinstance(output, tuple) else put

        handle = module.register_forward_hook(hook)
        return handle

    handles = [hooked(source, target) for source, target in swaps]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def transplant(
    model: PreTrainedModel,
    source_ids: Tensor,
    target_ids: Tensor,
    swaps: Sequence[Swap],
    sublayer: str,
    max_new_tokens: int,
) -> Tensor:
    """(new,): the greedy tokens under all of these swaps at once; the end token is the last, if it came."""
    outputs = source_outputs(model, source_ids, sublayer)
    return answer(
        model, target_ids, replaced(model, swaps, sublayer, outputs, at=len(target_ids) - 1), max_new_tokens
    )


def answer(
    model: PreTrainedModel, target_ids: Tensor, block: AbstractContextManager[None], max_new_tokens: int
) -> Tensor:
    """(new,): what `generate` writes greedily inside of a block."""
    with block:
        tokens = model.generate(
            target_ids[None],
            attention_mask=torch.ones_like(target_ids)[None],
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
    return tokens[0, len(target_ids) :]


def grid(
    model: PreTrainedModel, source_ids: Tensor, target_ids: Tensor, sublayer: str, max_new_tokens: int
) -> Tensor:
    """(L * L, new): row i * L + j is the swap (i, j). No row may end before the others."""
    layers, at = range(len(layers_of(model))), len(target_ids) - 1
    outputs = source_outputs(model, source_ids, sublayer)
    rows = [
        answer(model, target_ids, replaced(model, [(source, target)], sublayer, outputs, at), max_new_tokens)
        for source in layers
        for target in layers
    ]
    return torch.stack(rows)


@torch.no_grad()
def option_log_probabilities(
    model: PreTrainedModel,
    source_ids: Tensor,
    target_ids: Tensor,
    swaps: Sequence[Swap],
    sublayer: str,
    options: Sequence[Sequence[int]],
) -> Tensor:
    """(options,) float64: nats of all tokens of each option, after the target prompt under these swaps."""
    outputs = source_outputs(model, source_ids, sublayer)
    at = len(target_ids) - 1
    return torch.stack(
        [
            log_probability(model, target_ids, option, replaced(model, swaps, sublayer, outputs, at))
            for option in options
        ]
    )


@torch.no_grad()
def log_probability(
    model: PreTrainedModel, target_ids: Tensor, option: Sequence[int], block: AbstractContextManager[None]
) -> Tensor:
    """The nats of all tokens of an option, from one forward inside of a block."""
    ids = torch.cat([target_ids, torch.tensor(option)])
    with block:
        logits = model(input_ids=ids[None], use_cache=False).logits[0].double()
    predictions = logits.log_softmax(-1)[len(target_ids) - 1 : -1]
    return sum(predictions[place, token] for place, token in enumerate(option))


def _tensor_of(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
