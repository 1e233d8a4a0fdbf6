"""Memory that each process of an engine keeps of a model, and gathers and sends on top of that."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from cctuning.distributed.engines import Engine
from cctuning.training.memory.optimizers import state_bytes, working_bytes
from cctuning.training.memory.step import Step, decoder_layers

# DeepSpeed's own defaults, which recipes/accelerate leaves as they are, in elements.
_BUCKET = 500_000_000  # of gradients on their way
_LIVE = 1_000_000_000  # of gathered weights (ZeRO-3)


@dataclass(frozen=True)
class Held:
    """Bytes of one process beside the pass itself."""

    weights: int
    gradients: int
    optimizer: int
    working: int  # while the optimizer steps
    buffers: int = 0
    gathered: dict[str, int] = field(
        default_factory=dict
    )  # weights and their gradients, by phase of the pass
    main_memory: int = 0
    # How the pass is traced: with which weights, and whether gradients leave as soon as they are there.
    step: Step | None = None
    gradients_leave: bool = False


@dataclass(frozen=True)
class _Sizes:
    """Elements, and bytes, of a model's weights."""

    trained: list[Tensor]
    frozen: list[Tensor]
    buffers: int  # bytes
    layer: int  # of the largest decoder layer
    embedding: int
    head: int  # 0 where it is tied to the embedding

    @property
    def trained_count(self) -> int:
        return _count(self.trained)

    @property
    def count(self) -> int:
        return _count([*self.trained, *self.frozen])


def held_by(engine: Engine, step: Step, model: Any) -> Held:
    """The memory that a process of `engine` holds of `model`, which is on the meta device."""
    sizes = _sizes(model)
    if engine.name == "fsdp2":
        return _fsdp2(engine, step, sizes)
    if engine.name in ("zero2", "zero3"):
        return _deepspeed(engine, step, sizes)
    gradients = _bytes(sizes.trained)
    return Held(
        weights=_bytes(sizes.trained) + _bytes(sizes.frozen) + sizes.buffers,
        gradients=gradients,
        optimizer=state_bytes(step.optim, sizes.trained),
        working=working_bytes(step.optim, sizes.trained, gpu=step.gpu),
        buffers=gradients if engine.name == "ddp" else 0,  # DDP's buckets, one copy of the gradients
    )


def _fsdp2(engine: Engine, step: Step, sizes: _Sizes) -> Held:
    """Shards of trained weights are float32 under bf16 (accelerate's doing), and gathered in bfloat16.

    Embedding, each layer, and final norm with LM head are gathered on their own, the next one while one runs:
    a buffer of both, and the weights that are copied out of it. Their gradients are copied to be reduced.
    """
    share = engine.processes
    shards = _in_float32(sizes.trained) if step.bf16 else sizes.trained
    weights = (_bytes(shards) + _bytes(sizes.frozen)) // share + sizes.buffers
    gradients = _bytes(shards) // share
    optimizer = state_bytes(step.optim, shards) // share
    working = working_bytes(step.optim, shards, gpu=step.gpu) // share
    element = _element(step)
    layer, embedding = sizes.layer * element, sizes.embedding * element
    tail = (sizes.head or sizes.embedding) * element
    trained = sizes.trained_count / sizes.count
    running = max(3 * layer, 2 * embedding + layer)
    gathered = {
        "english": running,
        "forward": running,
        "head": 2 * tail,
        "head backward": tail + layer + int(trained * tail),
        "last layer": 3 * layer + int(trained * (tail + layer)),
        "between": 3 * layer + int(trained * layer),
        "first layer": 2 * layer + int(trained * layer),
        "embedding": int(trained * (embedding + layer)),
        "rest": int(trained * embedding),
        "end": 0,
    }
    state = {"weights": weights, "gradients": gradients, "optimizer": optimizer}
    main_memory = 0
    if engine.offload:
        main_memory = sum(state.values()) * share
        state, working = dict.fromkeys(state, 0), 0
    traced = dataclasses.replace(step, dtype="bfloat16" if step.bf16 else step.dtype)
    return Held(
        **state,
        working=working,
        gathered=gathered,
        main_memory=main_memory,
        step=traced,
        gradients_leave=True,
    )


def _deepspeed(engine: Engine, step: Step, sizes: _Sizes) -> Held:
    """DeepSpeed runs the model in the compute dtype and steps on a float32 copy of the process's share."""
    share, zero3 = engine.processes, engine.name == "zero3"
    element = _element(step)
    masters = _bytes(_in_float32(sizes.trained)) // share
    optimizer = masters + state_bytes(step.optim, _in_float32(sizes.trained)) // share
    # Gradients of the share in float32; then what the optimizer works with, on all of the share at once.
    working = masters + (masters if step.gpu else 2 * masters)
    weights = sizes.count * element // (share if zero3 else 1) + sizes.buffers
    gradients = sizes.trained_count * element // share
    main_memory = 0
    if engine.offload:
        main_memory = (optimizer + masters) * share
        optimizer = working = 0
        if zero3:
            main_memory += weights * share
            weights = sizes.buffers
    live = min(sizes.count, _LIVE) * element if zero3 else 0
    phases = ("english", "forward", "head", "head backward", "last layer", "between", "first layer")
    return Held(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        working=working,
        buffers=_BUCKET * element,
        gathered=dict.fromkeys(phases, live),
        main_memory=main_memory,
        step=dataclasses.replace(step, dtype="bfloat16", bf16=False) if step.bf16 else step,
        gradients_leave=True,
    )


def _sizes(model: Any) -> _Sizes:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    weights = list(model.parameters())
    embedding, head = base.get_input_embeddings().weight, base.get_output_embeddings().weight
    return _Sizes(
        trained=[weight for weight in weights if weight.requires_grad],
        frozen=[weight for weight in weights if not weight.requires_grad],
        buffers=_bytes(list(model.buffers())),
        layer=max(_count(list(layer.parameters())) for layer in decoder_layers(base)),
        embedding=embedding.numel(),
        head=0 if head is embedding else head.numel(),
    )


def _count(weights: Sequence[Tensor]) -> int:
    return sum(weight.numel() for weight in weights)


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _element(step: Step) -> int:
    """Bytes of a weight as it is gathered."""
    return 2 if step.bf16 or step.dtype == "bfloat16" else 4


def _in_float32(weights: Sequence[Tensor]) -> list[Tensor]:
    return [weight.float() for weight in weights]  # on the meta device: only their size
