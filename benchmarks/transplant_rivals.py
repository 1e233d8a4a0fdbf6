"""XTransplant without the sweep, in the ways that it can be written with `generate`: the rivals.

Each has all layers' feed-forward outputs of the source prompt at hand before its clock starts, and then
answers the pairs that it is given. They differ in what puts a vector in the place of another one: a hook of
our own, nnsight or pyvene. Pairs are (source layer, target layer), from 0; models are Llamas.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from benchmarks.training_step import no_words

Pairs = Sequence[tuple[int, int]]
Answers = Callable[[Pairs], Tensor]  # (pairs, new)


@dataclass(frozen=True)
class Task:
    """One question: both prompts (P,), and how many tokens are written after the second."""

    model: Any
    source: Tensor
    target: Tensor
    new_tokens: int

    @property
    def layers(self) -> Any:
        """The decoder's."""
        return self.model.model.layers

    @property
    def generation(self) -> dict[str, Any]:
        """Greedily, and all tokens: random models have no end token."""
        tokens = {"max_new_tokens": self.new_tokens, "eos_token_id": None, "pad_token_id": 0}
        return {"do_sample": False, **tokens}


@torch.no_grad()
def source_outputs(task: Task) -> Tensor:
    """(L, d): every layer's feed-forward output at the source prompt's last token."""
    outputs: list[Tensor] = []
    handles = [
        layer.mlp.register_forward_hook(lambda module, args, output: outputs.append(output[0, -1]))
        for layer in task.layers
    ]
    task.model.model(task.source[None], use_cache=False)
    for handle in handles:
        handle.remove()
    return torch.stack(outputs)


def with_hooks(task: Task, rows: int = 1) -> Answers:
    """A forward hook and `generate`: for each pair, or for batches of `rows` pairs at once."""
    outputs = source_outputs(task)

    def answer(batch: Pairs) -> Tensor:
        def replace(layer: int, module: Any, args: Any, output: Tensor) -> Tensor | None:
            if output.shape[1] < len(task.target):  # not the prompt's forward
                return None
            changed = output.clone()
            for row, (source, target) in enumerate(batch):
                if target == layer:
                    changed[row, -1] = outputs[source]
            return changed

        handles = [
            task.layers[layer].mlp.register_forward_hook(partial(replace, layer))
            for layer in {target for _, target in batch}
        ]
        ids = task.target.expand(len(batch), -1)
        try:
            tokens: Tensor = task.model.generate(ids, attention_mask=torch.ones_like(ids), **task.generation)
        finally:
            for handle in handles:
                handle.remove()
        return tokens[:, len(task.target) :]

    return lambda pairs: torch.cat(
        [answer(pairs[start : start + rows]) for start in range(0, len(pairs), rows)]
    )


def with_nnsight(task: Task) -> Answers:
    """The same with nnsight, one pair at a time."""
    import nnsight

    outputs = source_outputs(task)
    traced = nnsight.TransformersModel(task.model, task="text-generation", tokenizer=no_words())

    def answer(source: int, target: int) -> Tensor:
        with traced.generate(task.target[None], **task.generation) as tracer:
            traced.model.layers[target].mlp.output[:, -1] = outputs[source]
            tokens = tracer.result.save()
        return tokens[0, len(task.target) :]

    return lambda pairs: torch.stack([answer(*pair) for pair in pairs])


def with_pyvene(task: Task) -> Answers:
    """The same with pyvene, one pair at a time."""
    import pyvene

    outputs = source_outputs(task)
    place = {"component": "mlp_output", "intervention_type": pyvene.VanillaIntervention}
    swaps = [
        pyvene.IntervenableModel(pyvene.IntervenableConfig([{"layer": layer, **place}]), task.model)
        for layer in range(len(task.layers))
    ]
    prompt = {"input_ids": task.target[None], "attention_mask": torch.ones_like(task.target)[None]}

    @torch.no_grad()
    def answer(source: int, target: int) -> Tensor:
        _, tokens = swaps[target].generate(
            prompt,
            source_representations=outputs[source][None, None],
            unit_locations={"base": len(task.target) - 1},
            intervene_on_prompt=True,
            **task.generation,
        )
        return tokens[0, len(task.target) :]

    return lambda pairs: torch.stack([answer(*pair) for pair in pairs])


LIBRARIES: dict[str, Callable[[Task], Answers]] = {"nnsight": with_nnsight, "pyvene": with_pyvene}


def missing_libraries() -> list[str]:
    """Those of the rivals' libraries that are not installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]
