"""Sub-layers' outputs: read at one token, and put in place of others at another.

Letters: B prompts or R rows, L layers, k positions, d hidden size.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from cctuning.analysis.transplant.interventions import Intervention, Site
from cctuning.analysis.transplant.prompt_pairs import Cell
from cctuning.connection.modeling_cctuning import record_outputs
from cctuning.connection.sublayers import sublayer_paths


def layers_of(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder's layers. Raises `ValueError` for an architecture that is not in the table."""
    return list(model.get_decoder().get_submodule(sublayer_paths(model).layers))


def _modules(model: PreTrainedModel, sublayer: str) -> list[nn.Module]:
    """The module of each layer whose output is the sub-layer's."""
    paths = sublayer_paths(model, "attention" if sublayer == "attention_residual" else sublayer)
    return [layer.get_submodule(paths.record) for layer in layers_of(model)]


@contextmanager
def record_sublayer(model: PreTrainedModel, sublayer: str, index: Tensor) -> Iterator[list[Tensor]]:
    """Yields L tensors (B, d) after a forward inside: the sub-layers' outputs at token `index` (B,).

    With several tokens `index` (k, B) they are (k, B, d).

    "attention_residual" is an attention's output plus what came into its layer.
    """
    with ExitStack() as stack:
        outputs = stack.enter_context(record_outputs(_modules(model, sublayer), index))
        inputs: list[Tensor] = []

        def read_input(_module: nn.Module, args: Any, kwargs: Any) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            inputs.append(hidden[torch.arange(len(hidden), device=hidden.device), index.to(hidden.device)])

        if sublayer == "attention_residual":
            for layer in layers_of(model):
                stack.callback(layer.register_forward_pre_hook(read_input, with_kwargs=True).remove)
        yield outputs
        outputs[:] = (
            [output + before for output, before in zip(outputs, inputs, strict=True)] if inputs else outputs
        )


class PromptOutputs(NamedTuple):
    """Sub-layers' outputs at the last k tokens of Q questions' prompts."""

    source: Tensor  # (Q, L, k, d)
    target: Tensor  # (Q, L, k, d)


@contextmanager
def intervened(
    model: PreTrainedModel,
    sublayer: str,
    cells: Sequence[Sequence[Cell]],
    prompt_outputs: PromptOutputs,
    intervention: Intervention,
) -> Iterator[None]:
    """Inside the block, which holds one forward, the last k tokens' outputs in each row are as its cell says.

    `cells` has C cells for each of Q questions, whose rows follow one another.
    """
    table: dict[int, list[tuple[int, int, int]]] = {}  # target layer: row, question, source layer
    for question, of_question in enumerate(cells):
        for slot, cell in enumerate(of_question):
            for source, target in cell:
                table.setdefault(target, []).append((question * len(of_question) + slot, question, source))
    modules = _modules(model, sublayer)
    device = prompt_outputs.source.device
    done: list[int] = []

    def hook(_module: nn.Module, _args: Any, output: Any, *, layer: int) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        rows, questions, sources = torch.tensor(table[layer], device=device).T
        rows, last = rows.to(hidden.device), slice(-intervention.positions, None)
        site = Site(hidden[rows, last].to(device), sources, layer, questions, *prompt_outputs)
        hidden = hidden.clone()  # whoever else holds this tensor keeps it as it was
        hidden[rows, last] = intervention(site).to(hidden)
        done.append(layer)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    with ExitStack() as stack:
        for layer in table:
            own_hook = functools.partial(hook, layer=layer)
            # First of all hooks, so that whoever else looks sees what was put there.
            stack.callback(modules[layer].register_forward_hook(own_hook, prepend=True).remove)
        yield
    if sorted(done) != sorted(table):
        raise RuntimeError(
            f"{type(model).__name__} ran the modules that hold its layers' {sublayer} outputs {len(done)} "
            f"times for {len(table)} layers: the architecture table (architectures.py) does not fit it"
        )
