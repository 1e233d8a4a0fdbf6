"""The memory of one forward and backward pass, from running it on tensors that hold nothing.

Fake tensors of torch have shapes, dtypes and storages, but no values: every operation of the pass is
dispatched, allocates its results and frees them as in training, and no memory is taken. What is counted are
the storages that live at once. Operators' own scratch space is not seen.
"""

import functools
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from trl.trainer.utils import add_fused_lm_head

from cctuning.connection.connected import is_connected
from cctuning.training.memory.step import Step, build_model, decoder_layers

# Says what it cannot run before it raises; the error is enough.
logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
# Tokens and vocabulary entries in one tile of TRL's LM head.
TILE_TOKENS, TILE_VOCABULARY = 4096, 32768


class LiveStorages(TorchDispatchMode):
    """Counts the bytes of the tensors that are made inside of the `with` block while they live.

    `peaks` holds the most bytes that lived at once in each phase; the caller sets `phase`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.phase = ""
        self.peaks: dict[str, int] = {}
        self.current = 0
        self._live: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._live:
            return

        def freed(_: Any) -> None:
            del self._live[key]
            self.current -= size

        self._live[key] = weakref.ref(storage, freed)
        self.current += size
        self.peaks[self.phase] = max(self.peaks.get(self.phase, 0), self.current)

    def ignore(self, tensors: Iterator[Tensor]) -> None:
        """Leaves out tensors that were there before: an operation in place returns them too."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._live[id(storage)] = storage


class FusedHead(torch.autograd.Function):
    """Memory that TRL's LM head allocates on a GPU, where Triton kernels work inside one tile of logits."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor) -> Tensor:
        """(N, d), (V, d) -> (N,)."""
        ctx.save_for_backward(hidden, weight)
        ctx.dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
        _statistics = [hidden.new_empty(len(hidden), dtype=torch.float32) for _ in range(7)]
        _tile = _logits_tile(hidden, ctx.dtype)
        _chunk = _in_compute_dtype(hidden, ctx.dtype), _in_compute_dtype(weight, ctx.dtype)
        return hidden.new_empty(len(hidden), dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Gradients are summed in float32 whatever the weights' dtype."""
        hidden, weight = ctx.saved_tensors
        sums = [
            torch.empty_like(tensor, dtype=torch.float32) if needed else None
            for tensor, needed in zip((hidden, weight), ctx.needs_input_grad, strict=True)
        ]
        _tile = _logits_tile(hidden, ctx.dtype)
        _chunk = _in_compute_dtype(hidden, ctx.dtype), _in_compute_dtype(weight, ctx.dtype)
        return tuple(
            None if total is None else total.to(tensor.dtype)
            for total, tensor in zip(sums, (hidden, weight), strict=True)
        )


def _logits_tile(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    return hidden.new_empty(min(len(hidden), TILE_TOKENS), TILE_VOCABULARY, dtype=dtype)


def _in_compute_dtype(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    rows = TILE_VOCABULARY if tensor.shape[0] > TILE_VOCABULARY else tensor.shape[0]
    return tensor[:rows].to(dtype)


@functools.lru_cache(maxsize=64)
def trace_step(step: Step, layers: int | None = None, *, gradients_leave: bool = False) -> dict[str, int]:
    """Bytes that live at most in each phase of a forward and backward pass, beside weights and optimizer.

    Gradients are in it, where passes are accumulated those of the passes before as well; with
    `gradients_leave` only until they are complete, as an engine takes them then. The phases are english, own
    (where prompts are read unconnected, too), forward and head; backward: head backward, last layer, between,
    first layer, embedding, rest, and those from between to embedding once more, as "own", where that reading
    is differentiated; and end.
    """
    counter = LiveStorages()
    model = build_model(step, layers)
    with FakeTensorMode():
        _make_fake(model)
        base = model.get_base_model() if step.lora is not None else model
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        gradients = 0
        if gradients_leave:
            for weight in trained:
                weight.register_post_accumulate_grad_hook(lambda weight: setattr(weight, "grad", None))
        elif step.accumulation > 1:
            for weight in trained:
                weight.grad = torch.empty_like(weight)
                gradients += weight.grad.nbytes
        batch = _batch(step)
        before = [*model.parameters(), *model.buffers(), *(weight.grad for weight in trained)]
        counter.ignore(tensor for tensor in before if tensor is not None)
        _mark_phases(base, counter, step.prompt_tokens)
        with counter:
            loss = _loss(step, model, base, batch, counter)
            counter.phase = "head backward"
            loss.backward()
    counter.peaks["end"] = counter.current
    return {phase: peak + gradients for phase, peak in counter.peaks.items()}


def _make_fake(model: Any) -> None:
    """Puts fake tensors of the CPU, which autocast and attention know, in place of a model's meta tensors."""
    fakes: dict[int, Tensor] = {}  # tied weights stay tied
    for module in list(model.modules()):
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) not in fakes:
                empty = torch.empty(weight.shape, dtype=weight.dtype)
                fakes[id(weight)] = torch.nn.Parameter(empty, requires_grad=weight.requires_grad)
            setattr(module, name, fakes[id(weight)])
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def _batch(step: Step) -> dict[str, Any]:
    """The longest batch: rows of unequal length, so that attention gets a mask, as most batches do."""
    shape = (step.rows, step.tokens)
    batch: dict[str, Any] = {"input_ids": torch.zeros(shape, dtype=torch.long), "use_cache": False}
    batch["labels"] = torch.zeros(shape, dtype=torch.long)
    if step.rows > 1:
        batch["attention_mask"] = torch.ones(shape, dtype=torch.long)
    if step.connection is not None:
        english = torch.zeros((step.rows, step.english_tokens), dtype=torch.long)
        batch["prompt_lengths"] = torch.ones(step.rows, dtype=torch.long)
        batch |= {"english_input_ids": [english], "english_attention_mask": [torch.ones_like(english)]}
        batch["english_index"] = torch.arange(step.rows)
    return batch


def _mark_phases(base: Any, counter: LiveStorages, prompt_tokens: int) -> None:
    """Sets the counter's phase as the pass goes on."""

    def enter(phase: str) -> None:
        counter.phase = phase

    def of_reading(phase: str) -> str:
        return f"own {phase}" if counter.phase == "own" else phase

    def entering(phase: str, read: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def reading(*args: Any, **kwargs: Any) -> Tensor:
            enter(phase)
            result = read(*args, **kwargs)
            enter("forward")
            return result

        return reading

    if is_connected(base):
        base.english_outputs = entering("english", base.english_outputs)
        base._first_reading = entering("own", base._first_reading)
        base._last_column = lambda _: prompt_tokens - 1  # a fake index has no values
    layers = decoder_layers(base)
    for number, layer in enumerate(layers):
        phase = {len(layers) - 1: "last layer", 0: "first layer"}.get(number, "between")

        def mark(_layer: Any, _args: Any, output: Any, *, phase: str = phase) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            if hidden.requires_grad:
                name = of_reading(phase)
                hidden.register_hook(lambda _: enter(name))

        layer.register_forward_hook(mark)
    embedding = base.get_input_embeddings()

    def mark_embedding(_module: Any, _args: Any, output: Tensor) -> None:
        if output.requires_grad and output.dim() == 3:  # not the one of the response start
            name = of_reading("embedding")
            output.register_hook(lambda _: enter(name))

    embedding.register_forward_hook(mark_embedding)
    weight = embedding.weight
    if weight.requires_grad:
        weight.register_post_accumulate_grad_hook(lambda _: enter("rest"))


def _loss(step: Step, model: Any, base: Any, batch: dict[str, Any], counter: LiveStorages) -> Tensor:
    """The loss as `CCTuningTrainer` computes it, by TRL's LM head."""
    counter.phase = "forward"
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=step.bf16)
    if not step.gpu:
        add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
        with autocast:
            base.get_decoder().register_forward_hook(lambda *_: setattr(counter, "phase", "head"))
            loss = -model(**batch, fused_lm_head=True).log_probs.sum()
            return loss + _alignment(base)
    del batch["labels"]
    with autocast:
        hidden = base.base_model(**batch).last_hidden_state
        counter.phase = "head"
        labelled = step.rows * min(step.response_tokens, step.tokens - 1)
        compact = hidden.reshape(-1, hidden.shape[-1])[torch.zeros(labelled, dtype=torch.long)]
        return FusedHead.apply(compact, base.get_output_embeddings().weight).sum() + _alignment(base)


def _alignment(base: Any) -> Tensor | float:
    """The alignment's share of the loss; 0 without one."""
    if not is_connected(base) or base.last_contrast is None:
        return 0.0
    contrasts: Tensor = base.last_contrast
    base.last_contrast = None  # as in training, so that it keeps no graph
    return contrasts.sum()
