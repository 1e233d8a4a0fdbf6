"""The cross-lingual connection of CC-Tuning (Ye et al., ACL 2025, arXiv 2506.00875) inside a language model.

While the model reads a prompt, one layer's sub-layer output from the parallel English prompt is added to the
first layer's, at the response start: the last prompt token, whose output predicts the first response token.
At inference the English outputs may be replaced by the model's own ones times the Transform Matrix.

This one file is what the package imports and what travels with an exported model, so it needs torch and
transformers only. `config.auto_map` names `CCTuning<Base>`, a subclass of the transformers class `<Base>`
that `__getattr__` at the end makes on demand.

Letters: B rows, U distinct English prompts, T tokens, L decoder layers, d hidden size.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import math
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor, nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.modeling_layers import GradientCheckpointingLayer

_CHOICES = {
    "sublayer": ("ffn", "attention", "block"),
    "selection": ("argmax", "gumbel"),
    "embedding": ("last", "mean"),
    "gate": ("none", "scalar", "vector"),
}


@dataclasses.dataclass
class ConnectionConfig:
    """Settings of the connection. The defaults are the paper's method.

    Raises `ValueError` for a value that is not accepted, naming the field and what is.
    """

    pooling: str = "decision_maker"  # of the L English outputs: decision_maker | mean | random | layer
    sublayer: str = "ffn"  # ffn | attention | block
    layer: int | None = None  # for pooling="layer": which one, from 0; -1 is the last
    temperature: float = 1.0  # of the Gumbel-softmax (eq. 4)
    hard: bool = True  # one layer, straight-through gradient; False: a soft mixture
    selection: str = "argmax"  # at inference: argmax | gumbel (the authors' code keeps the noise)
    embedding: str = "last"  # e of eq. 3: of the token at the response start | mean over the prompt's tokens
    english_gradient: bool = False  # whether the English pass is differentiated
    centred: bool = False  # each layer's mean English output is taken away from its outputs
    scale: float | None = None  # mean size of a layer's outputs then, over the target's own; None: as is
    gate: str = "none"  # what f is multiplied with: none | scalar | vector, trained from 0
    decision_maker_norm: bool = False  # layer norm of the Decision Maker's input, which starts undecided
    target_layer: int = 0  # to whose output f is added, from 0; -1 is the last
    monolingual_share: float = 0.0  # of the training rows, whose vector is their own F · W_T
    alignment: float = 0.0  # weight of a contrastive loss in training that turns F, from x, towards F_en

    def __post_init__(self) -> None:
        for name, accepted in {"pooling": tuple(POOLINGS), **_CHOICES}.items():
            if getattr(self, name) not in accepted:
                raise ValueError(f"{name}={getattr(self, name)!r} is not one of {', '.join(accepted)}")
        for name in ("hard", "english_gradient", "centred", "decision_maker_norm"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r} must be true or false")
        for name in ("temperature", "scale"):
            value = getattr(self, name)
            given = value is not None or name != "scale"
            if given and (type(value) not in (int, float) or not 0 < value < float("inf")):
                raise ValueError(f"{name}={value!r} must be a number above 0")
        if type(self.layer) not in (int, type(None)):
            raise ValueError(f"layer={self.layer!r} must be a whole number")
        if type(self.target_layer) is not int:
            raise ValueError(f"target_layer={self.target_layer!r} must be a whole number")
        share = self.monolingual_share
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise ValueError(f"monolingual_share={share!r} must be a number from 0 to 1")
        if type(self.alignment) not in (int, float) or not 0 <= self.alignment < float("inf"):
            raise ValueError(f"alignment={self.alignment!r} must be a number from 0")
        if self.alignment and not self.centred:
            raise ValueError(
                f"alignment={self.alignment!r} needs centred=True: what all rows share is alike anyway"
            )
        if self.decision_maker_norm and self.pooling != "decision_maker":
            raise ValueError(
                f"decision_maker_norm=True does not fit pooling={self.pooling!r}, which has no Decision Maker"
            )
        if POOLINGS[self.pooling].needs_layer != (self.layer is not None):
            raise ValueError(
                f"layer={self.layer!r} does not fit pooling={self.pooling!r}: "
                "name a layer for pooling='layer', and only for that"
            )

    @property
    def standardised(self) -> bool:
        """Whether outputs are centred or scaled, by statistics that the model has to hold."""
        return self.centred or self.scale is not None


class SublayerPaths(NamedTuple):
    """Places of an architecture's connected modules, as dotted module paths."""

    layers: str  # the ModuleList of decoder layers, in the decoder
    record: str  # the module in a layer whose output is the sub-layer's; "" is the layer itself
    inject: str  # the module in the target layer to whose output f is added; "" is the layer itself


class Selection(NamedTuple):
    """Choice of a pooling."""

    weights: Tensor  # (B, L), one-hot where one layer was picked
    logits: Tensor | None  # (B, L), the scores behind it (H of eq. 3); None where the outputs play no part


# --- Poolings: which layers' outputs f is made of -----------------------------------------------------------


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


STATISTICS = "output_statistics"  # the submodules' names, in files too
OWN_TRANSFORM = "own_transform"


class Constants(nn.Module):
    """Numbers that are measured, not trained: NaN until then, in at least float32 in any model.

    `in_state`: whether they are in the state dict, which not every engine of training can share out with
    buffers in it.
    """

    def __init__(
        self, *, in_state: bool, dtype: Any = None, device: Any = None, **shapes: tuple[int, ...]
    ) -> None:
        super().__init__()
        dtype = torch.float64 if dtype == torch.float64 else torch.float32
        for name, shape in shapes.items():
            unknown = torch.full(shape, float("nan"), dtype=dtype, device=device)
            self.register_buffer(name, unknown, persistent=in_state)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, tensor in self._buffers.items():
            if tensor is not None and tensor.dtype in (torch.float16, torch.bfloat16):
                self._buffers[name] = before[name].to(tensor.device)  # type: ignore[union-attr]
        return self


class OutputStatistics(Constants):
    """What outputs F (B, L, d) are centred and scaled by: (F[l] - mean[l]) · scale[l].

    `mean` (L, d) and `scale` (L,) are measured before training. Of F, what differs between rows may be a
    hundredth, so they are kept in float32.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden_size: int, num_layers: int, **options: Any) -> None:
        super().__init__(mean=(num_layers, hidden_size), scale=(num_layers,), **options)

    def forward(self, outputs: Tensor) -> Tensor:
        """The outputs, centred and scaled, in at least float32."""
        with torch.autocast(outputs.device.type, enabled=False):
            mean, scale = self.mean.to(outputs.device), self.scale.to(outputs.device)
            return (_at_least_float32(outputs) - mean) * scale[:, None]


class OwnTransform(Constants):
    """W_T (d, d) of a training that is under way, as `weight`; fitted again as the model changes."""

    weight: Tensor

    def __init__(self, hidden_size: int, **options: Any) -> None:
        super().__init__(weight=(hidden_size, hidden_size), **options)

    def forward(self, outputs: Tensor) -> Tensor:
        """F · W_T of the outputs F (B, L, d), in at least float32."""
        with torch.autocast(outputs.device.type, enabled=False):
            return _at_least_float32(outputs) @ self.weight.to(outputs.device)


class TransformMatrix(nn.Module):
    """W_T of eq. 8: one matrix for all layers, or one for each, and a bias where it was fitted with means.

    Held as nn.Linear holds its weight, transposed: `weight` (d, d) and `bias` (d,), with one for each layer
    (L, d, d) and (L, d). Of a rank r there are two factors in place of `weight`: first `down` (L, r, d), then
    `up` (L, d, r).
    """

    bias: Tensor | None

    def __init__(
        self,
        hidden_size: int,
        *,
        layers: int | None = None,
        rank: int | None = None,
        bias: bool = False,
        **factory: Any,
    ) -> None:
        super().__init__()
        self.per_layer = layers is not None
        shapes = {"weight": (hidden_size, hidden_size)}
        if rank is not None:
            shapes = {"down": (rank, hidden_size), "up": (hidden_size, rank)}
        self._names = tuple(shapes)
        several = () if layers is None else (layers,)
        for name, shape in (shapes | {"bias": (hidden_size,)}).items():
            needed = name != "bias" or bias
            weight = nn.Parameter(torch.empty(*several, *shape, **factory)) if needed else None
            self.register_parameter(name, weight)

    @property
    def factors(self) -> tuple[Tensor, ...]:
        """What outputs are multiplied with in turn: `weight`, or `down` and `up`."""
        return tuple(getattr(self, name) for name in self._names)

    def forward(self, outputs: Tensor) -> Tensor:
        """F · W_T of outputs F (..., d), or with a matrix for each layer (B, L, d); in the matrix's dtype."""
        *others, last = self.factors
        outputs = outputs.to(last.dtype)
        if not self.per_layer:
            for factor in others:
                outputs = nn.functional.linear(outputs, factor)
            return nn.functional.linear(outputs, last, self.bias)
        for factor in (*others, last):
            outputs = torch.einsum("bld,led->ble", outputs, factor)
        return outputs if self.bias is None else outputs + self.bias


class LayerOutputs:
    """The outputs of all layers as they may enter f: F_en, or F · W_T in its place (eq. 8).

    A pooling sees outputs through this view alone, so that it weighs at inference what it weighed in
    training: F itself, before W_T, is not shown. W_T is multiplied with what is asked for only. By linearity
    that is one vector a row for `mean` and `mixture`; `each` costs L of them, as do matrices of each layer.
    """

    def __init__(self, outputs: Tensor, matrix: TransformMatrix | None = None) -> None:
        if matrix is not None and matrix.per_layer:  # sums over layers are behind it
            outputs, matrix = matrix(outputs), None
        self._outputs, self._matrix = outputs, matrix
        self.rows, self.layers, self.hidden_size = outputs.shape
        self.device, self.dtype = outputs.device, torch.promote_types(outputs.dtype, torch.float32)

    def each(self) -> Tensor:
        """Every layer's output, (B, L, d); like all that comes from here in at least float32."""
        return self._transformed(self._outputs)

    def mean(self) -> Tensor:
        """The mean over the layers, (B, d)."""
        return self._transformed(_at_least_float32(self._outputs).mean(1))

    def mixture(self, weights: Tensor) -> Tensor:
        """The layers' outputs summed with `weights` (B, L): (B, d)."""
        mixed = self._transformed(torch.einsum("bl,bld->bd", weights, self._outputs.to(weights.dtype)))
        if self._matrix is None or self._matrix.bias is None:
            return mixed
        # Each layer's prediction holds the bias, so a mixture as often as its weights sum to.
        return mixed + (weights.sum(-1, keepdim=True) - 1) * _at_least_float32(self._matrix.bias)

    def one_hot(self, layer: Tensor | int) -> Tensor:
        """Weights (B, L) that pick `layer`, the same for all rows or (B,)."""
        weights = torch.zeros(self.rows, self.layers, dtype=self.dtype, device=self.device)
        chosen = torch.as_tensor(layer, device=self.device).expand(self.rows)
        return weights.index_put((_rows(weights), chosen), weights.new_ones(()))

    def _transformed(self, values: Tensor) -> Tensor:
        return _at_least_float32(values if self._matrix is None else self._matrix(values))


class Pooling:
    """Pooling of the layers. A new one is a subclass in this file under `register_pooling`; no more.

    Where it has parameters, `module` makes the module that holds them. It becomes the model's submodule of
    the pooling's name, and by that name it is trained, in full also beside an adapter, saved, loaded and
    exported.
    """

    needs_layer = False  # whether the setting `layer` belongs to it

    def __init__(self, connection: ConnectionConfig) -> None:
        self.connection = connection

    def module(self, hidden_size: int, num_layers: int, **factory: Any) -> nn.Module | None:
        """The parameters, made with `factory` (dtype, device); None without any."""
        return None

    def initialise(self, module: nn.Module, std: float) -> None:
        """Gives the parameters their values before training; `std` is the base model's own scale."""
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=std)

    def weigh(self, outputs: LayerOutputs, embedding: Tensor, module: Any, *, noise: bool) -> Selection:
        """Weights over the layers, given e (B, d) and what `module` made; without autocast.

        `module` may be wrapped, by PEFT or an engine, and so is to be called, not taken apart. Where the
        weights in it are of half precision they are to be computed with in float32. `noise`: to draw rather
        than to take the best, in training and where `selection=gumbel`.
        """
        raise NotImplementedError


POOLINGS: dict[str, type[Pooling]] = {}


def register_pooling(name: str) -> Callable[[type[Pooling]], type[Pooling]]:
    """Makes a class the one that `pooling=name` stands for."""

    def register(pooling: type[Pooling]) -> type[Pooling]:
        POOLINGS[name] = pooling
        return pooling

    return register


class DecisionMaker(nn.Linear):
    """W_DM of eq. 3: (B, d) -> (B, L), without bias.

    Computed in at least float32, also under autocast: bfloat16 has 8 bits, and two layers' scores would tie.
    """

    def __init__(self, hidden_size: int, num_layers: int, **kwargs: Any) -> None:
        super().__init__(hidden_size, num_layers, bias=False, **kwargs)

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits (B, L) from pooled outputs (B, d)."""
        with torch.autocast(pooled.device.type, enabled=False):
            return nn.functional.linear(_at_least_float32(pooled), _at_least_float32(self.weight))


def select(logits: Tensor, *, temperature: float = 1.0, hard: bool = True, noise: bool = False) -> Tensor:
    """Weights (B, L) over the layers from the Decision Maker's logits (B, L).

    With `noise` a Gumbel-softmax sample (eq. 4), straight-through where `hard`; without, the argmax, or the
    softmax where not `hard`.
    """
    if noise:
        return nn.functional.gumbel_softmax(logits, tau=temperature, hard=hard)
    if hard:
        return nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return (logits / temperature).softmax(-1)


@register_pooling("decision_maker")
class DecisionMakerPooling(Pooling):
    """One layer for each row, by the Decision Maker's logits (eq. 3, 4)."""

    def module(self, hidden_size: int, num_layers: int, **factory: Any) -> nn.Module:
        """W_DM."""
        return DecisionMaker(hidden_size, num_layers, **factory)

    def initialise(self, module: nn.Module, std: float) -> None:
        """As of any pooling; with `decision_maker_norm` at 0, so that all layers are as likely."""
        super().initialise(module, 0.0 if self.connection.decision_maker_norm else std)

    def weigh(self, outputs: LayerOutputs, embedding: Tensor, module: Any, *, noise: bool) -> Selection:
        """H = (mean_l F[l] + e) W_DM, and from it one layer, or a mixture where not `hard`.

        With `decision_maker_norm` the sum is normalised first, to mean 0 and variance 1 over d.
        """
        settings = self.connection
        mean = outputs.mean()
        pooled = mean + embedding.to(mean.device)
        if settings.decision_maker_norm:
            pooled = nn.functional.layer_norm(pooled, pooled.shape[-1:])
        logits = module(pooled)
        weights = select(logits, temperature=settings.temperature, hard=settings.hard, noise=noise)
        return Selection(weights, logits)


@register_pooling("mean")
class MeanPooling(Pooling):
    """All layers alike."""

    def weigh(self, outputs: LayerOutputs, embedding: Tensor, module: Any, *, noise: bool) -> Selection:
        """1 / L for each layer."""
        shape, share = (outputs.rows, outputs.layers), 1 / outputs.layers
        weights = torch.full(shape, share, dtype=outputs.dtype, device=outputs.device)
        return Selection(weights, None)


@register_pooling("random")
class RandomPooling(Pooling):
    """One layer for each row, drawn anew each time."""

    def weigh(self, outputs: LayerOutputs, embedding: Tensor, module: Any, *, noise: bool) -> Selection:
        """One layer for each row, from torch's global generator."""
        drawn = torch.randint(outputs.layers, (outputs.rows,), device=outputs.device)
        return Selection(outputs.one_hot(drawn), None)


@register_pooling("layer")
class LayerPooling(Pooling):
    """The same layer for all rows."""

    needs_layer = True

    def weigh(self, outputs: LayerOutputs, embedding: Tensor, module: Any, *, noise: bool) -> Selection:
        """The layer that the settings name."""
        assert self.connection.layer is not None
        return Selection(outputs.one_hot(self.connection.layer % outputs.layers), None)


GATE = "connection_gate"  # the submodule's name, in files too


class Gate(nn.Module):
    """Factors of f (B, d): one, or one for each of its d dimensions; 0 before training."""

    def __init__(self, factors: int, *, dtype: Any = None, device: Any = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(factors, dtype=dtype, device=device))

    def forward(self, f: Tensor) -> Tensor:
        """The product, in at least float32."""
        return _at_least_float32(f) * _at_least_float32(self.weight).to(f.device)


# --- Recording and adding: changes to a model that are undone when the block ends ---------------------------


def _hidden_states(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _rows(tensor: Tensor) -> Tensor:
    return torch.arange(tensor.shape[0], device=tensor.device)


@contextmanager
def record_outputs(modules: Sequence[nn.Module], index: Tensor) -> Iterator[list[Tensor]]:
    """Yields a list that a forward fills with each module's output (B, d) at token `index` (B,)."""
    outputs: list[Tensor] = [torch.empty(0)] * len(modules)
    thread = threading.get_ident()  # another thread's forward on the same model is not ours to record

    def hook(_module: nn.Module, _args: Any, output: Any, *, number: int) -> None:
        if threading.get_ident() == thread:
            hidden = _hidden_states(output)
            outputs[number] = hidden[_rows(hidden), index.to(hidden.device)]

    with ExitStack() as stack:
        for number, module in enumerate(modules):
            handle = module.register_forward_hook(functools.partial(hook, number=number))
            stack.callback(handle.remove)
        yield outputs


@contextmanager
def add_to_output(layer: nn.Module, path: str, addend: Tensor, index: Tensor) -> Iterator[None]:
    """Adds `addend` (B, d) to the output of the module at `path` in `layer`, at token `index` (B,).

    Activation checkpointing runs what lies inside of a layer twice, and with the reentrant kind a hook
    there gives wrong gradients under DDP. transformers since 5.20 or so runs a layer's own hooks outside
    of that region; where the hook would lie inside, this one layer keeps its activations instead.
    """
    module = layer.get_submodule(path)
    thread = threading.get_ident()

    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        if threading.get_ident() != thread:
            return output
        hidden = _hidden_states(output)
        values = addend.to(device=hidden.device, dtype=hidden.dtype)
        changed = hidden.index_put((_rows(hidden), index.to(hidden.device)), values, accumulate=True)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    hooks_are_recomputed = path != "" or "__call__" in vars(GradientCheckpointingLayer)
    with ExitStack() as stack:
        if hooks_are_recomputed:
            stack.enter_context(without_checkpointing([layer]))
        # First of all hooks: those by which transformers collects hidden states stay on from the first time
        # on.
        stack.callback(module.register_forward_hook(hook, prepend=True).remove)
        yield


@contextmanager
def without_checkpointing(layers: Iterable[Any]) -> Iterator[None]:
    """Forwards inside keep these layers' activations, whatever `gradient_checkpointing` says."""
    checkpointed = [layer for layer in layers if getattr(layer, "gradient_checkpointing", False)]
    for layer in checkpointed:
        layer.gradient_checkpointing = False
    try:
        yield
    finally:
        for layer in checkpointed:
            layer.gradient_checkpointing = True


# --- Positions and inputs -----------------------------------------------------------------------------------


def response_starts(input_ids: Tensor, marker: Sequence[int]) -> Tensor:
    """Index (B,) of the last token of the last `marker` in each row of `input_ids` (B, T), or -1."""
    batch, length = input_ids.shape
    if not marker or length < len(marker):
        return input_ids.new_full((batch,), -1)
    wanted = torch.tensor(marker, device=input_ids.device)
    matches = (input_ids.unfold(1, len(marker), 1) == wanted).all(-1)
    ends = torch.arange(len(marker) - 1, length, device=input_ids.device)
    return torch.where(matches, ends, -1).amax(-1)


def _first_tokens(attention_mask: Tensor | None) -> Tensor | int:
    """Column (B,) of each row's first token that is no padding."""
    if attention_mask is None or attention_mask.dim() != 2:
        return 0
    return attention_mask.long().argmax(-1)


def right_padded(input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Ids (B, T) with padding on the right, where causal attention needs no mask, and lengths (B,)."""
    batch, length = input_ids.shape
    if attention_mask is None:
        return input_ids, input_ids.new_full((batch,), length)
    lengths = attention_mask.long().sum(-1)
    columns = torch.arange(length, device=input_ids.device) + attention_mask.long().argmax(-1, keepdim=True)
    return input_ids.gather(1, columns % length), lengths


def _query_slice(inputs: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """The decoder's inputs for query tokens [start, stop) of the T that `inputs` hold."""
    length = _query_length(inputs)
    beyond = length - stop

    def cut_mask(mask: Any) -> Any:
        if isinstance(mask, dict):
            return {key: cut_mask(value) for key, value in mask.items()}
        if mask is None:
            return None
        if mask.dim() == 2:
            return mask[:, : mask.shape[-1] - beyond]
        rows = mask[..., start:stop, :]
        # A mask of a static cache spans the whole cache; any other one ends with the queries.
        static = isinstance(inputs.get("past_key_values"), Cache) and inputs["past_key_values"].is_compileable
        return rows if static else rows[..., : rows.shape[-1] - beyond]

    sliced = dict(inputs)
    for name in ("input_ids", "inputs_embeds"):
        if sliced.get(name) is not None:
            sliced[name] = sliced[name][:, start:stop]
    for name in ("position_ids", "cache_position", "token_type_ids"):
        if sliced.get(name) is not None:
            sliced[name] = sliced[name][..., start:stop]
    if "attention_mask" in sliced:
        sliced["attention_mask"] = cut_mask(sliced["attention_mask"])
    return sliced


def _query_length(inputs: dict[str, Any]) -> int:
    tokens = inputs.get("input_ids")
    return int((inputs["inputs_embeds"] if tokens is None else tokens).shape[1])


# What engines of paged attention pass, whose rows hold tokens of several prompts: continuous batching of
# transformers, and the Transformers backends of vLLM and SGLang.
_PACKED = ("cu_seq_lens_q", "block_table", "attention_instances", "forward_batch")
_ONE_PROMPT = (
    "a row may hold tokens of several prompts there, and the connection takes one prompt a row. Use "
    "generate, cctuning serve, or vLLM with cctuning[vllm]; or switch the connection off "
    "(model.connected = False)"
)


def _check_rows(attention: str, inputs: dict[str, Any]) -> None:
    """Raises `ValueError` for a decoder's inputs whose rows may hold several prompts one after the other.

    Each of them would need a connection of its own, and where it begins is not among the inputs.
    `attention`: the implementation's name.
    """
    packed = [name for name in _PACKED if inputs.get(name) is not None]
    if attention.startswith("paged|") or attention in ("vllm", "sglang"):
        packed.append(f"attn_implementation={attention!r}")
    positions, mask, cache = (inputs.get(n) for n in ("position_ids", "attention_mask", "past_key_values"))
    # So transformers itself tells rows of several sequences.
    if positions is not None and mask is None and cache is None and bool((positions.diff(dim=-1) != 1).any()):
        packed.append("position_ids that begin anew")
    if packed:
        raise ValueError(f"{' and '.join(packed)}: {_ONE_PROMPT}")


# --- Caches -------------------------------------------------------------------------------------------------


def _can_crop(cache: Cache, new_tokens: int) -> bool:
    """Whether the last tokens can be taken out again after `new_tokens` more have come in."""
    if not isinstance(cache, DynamicCache):
        return False

    # A sliding layer that is full has dropped the tokens that a crop would need back. Subclasses of these two
    # classes may keep their tokens in other ways.
    def layer_can(layer: Any) -> bool:
        if type(layer) is DynamicSlidingWindowLayer:
            return bool(layer.get_seq_length() + new_tokens < layer.sliding_window)
        return type(layer) is DynamicLayer

    return all(layer_can(layer) for layer in cache.layers)


def _fork(cache: Cache) -> Cache:
    """A copy of the cache to run a token on and throw away.

    Dynamic layers make new tensors when they grow, so they are shared; the others write in place, and are
    cloned. Attributes that are set anew, such as the number of tokens seen, are the copy's own either way.
    """

    def fork_layer(layer: Any) -> Any:
        twin = copy.copy(layer)
        if not isinstance(layer, DynamicLayer):
            vars(twin).update({k: v.clone() for k, v in vars(layer).items() if isinstance(v, Tensor)})
        return twin

    twin = copy.copy(cache)
    twin.layers = [fork_layer(layer) for layer in cache.layers]
    return twin


@contextmanager
def _without_past_recording(cache: Cache) -> Iterator[None]:
    """What is read inside is never taken back.

    Assisted decoding makes sliding layers keep more than their window until the next `crop`; before
    transformers 5.20 or so two forwards without one in between failed.
    """
    layers: list[Any] = [layer for layer in cache.layers if getattr(layer, "record_past", False)]
    for layer in layers:
        layer.record_past = False
    try:
        yield
    finally:
        for layer in layers:
            layer.record_past = True


def _connected_at(cache: Cache | None) -> int | None:
    """The first token in the cache that was read with f; None where there is none.

    A cache that was cropped behind it, or emptied, forgets it: tokens that come later are others.
    """
    marked: Any = cache
    start: int | None = getattr(marked, "cctuning_connected_at", None)
    if start is not None and start >= marked.get_seq_length():
        marked.cctuning_connected_at = start = None
    return start


def _empty(cache: Cache, config: Any) -> None:
    """Takes everything out of a cache."""
    if isinstance(cache, DynamicCache):  # its own `reset` keeps the length
        cache.layers = DynamicCache(config=config).layers
    else:
        cache.reset()


# --- The connection -----------------------------------------------------------------------------------------


class _Generation(NamedTuple):
    """State of a running `generate` about its prompts."""

    model: Any
    start: int  # the column of the response start in the whole prompt
    embedding: Tensor | None  # e, (B, d)
    output: Tensor | None  # f, (B, d), where the English prompt was given


# A context variable: generating in several threads with one model is fine.
_GENERATION: ContextVar[_Generation | None] = ContextVar("cctuning_generation", default=None)

# The model whose `forward` is running, and the connection's arguments that it was given.
_GIVEN: ContextVar[tuple[Any, dict[str, Any]]] = ContextVar("cctuning_given", default=(None, {}))

# What a forward takes besides the base model's arguments.
CONNECTION_ARGUMENTS = (
    "prompt_lengths",
    "english_input_ids",
    "english_attention_mask",
    "english_index",
    "connection_index",
    "connection_embedding",
    "connection_output",
)


class CrossLingualConnection:
    """Mixin that connects a causal language model's decoder; stands before the base class.

    `forward` takes, besides what the base takes:

    - `english_input_ids` (U, P) with `english_attention_mask`: the parallel English prompts, or a list of
      such tensors (one per length bucket); `english_index` (B,) says which of the U prompts belongs to
      which row (default: one each, in order);
    - `prompt_lengths` (B,): tokens of each row's prompt, without padding; or
    - `connection_index`, an int or (B,): the column of the response start, -1 for rows that are not
      connected.

    Without English prompts the connection is made from the model's own outputs where there is a Transform
    Matrix (`transform_matrix`), and not at all where there is none. `connected = False` switches it off.
    """

    connection: ConnectionConfig
    paths: SublayerPaths
    response_marker: tuple[int, ...] = ()
    connected: bool = True
    exported: bool = False  # and so with all that it needs in its state dict
    last_selection: Selection | None = None
    last_contrast: Tensor | None = None  # (B,), see `contrast`; with its gradient, for an alignment
    # From the base class.
    config: Any
    training: bool
    dtype: torch.dtype
    device: torch.device
    name_or_path: str
    generation_config: Any
    get_decoder: Callable[[], Any]
    get_input_embeddings: Callable[[], Any]
    state_dict: Callable[[], dict[str, Tensor]]
    named_modules: Callable[[], Iterator[tuple[str, nn.Module]]]
    _modules: dict[str, nn.Module | None]
    # Submodules; a class attribute would hide them, so `connect` sets them to None.
    decision_maker: DecisionMaker | None
    transform_matrix: TransformMatrix | None
    output_statistics: OutputStatistics | None
    connection_gate: Gate | None
    own_transform: OwnTransform | None

    def connect(self, connection: ConnectionConfig, paths: SublayerPaths) -> None:
        """Puts the connection into this model's decoder; `attach_modules` is to follow."""
        self.connection = connection
        self.paths = paths
        self.decision_maker = self.transform_matrix = self.output_statistics = self.connection_gate = None
        self.own_transform = None
        decoder = self.get_decoder()
        decoder.forward = types.MethodType(_connected_forward, self)

    def make_modules(self, hidden_size: int, **factory: Any) -> dict[str, nn.Module]:
        """New modules that the settings ask for, by name; `factory` as torch takes it (dtype, device).

        Those are the pooling's parameters, the gate, the statistics that outputs are centred and scaled by,
        and in training the Transform Matrix of that moment.
        """
        layers, modules = len(self.decoder_layers), {}
        pooling = self.pooling.module(hidden_size, layers, **factory)
        if pooling is not None:
            modules[self.connection.pooling] = pooling
        if self.connection.gate != "none":
            modules[GATE] = Gate(1 if self.connection.gate == "scalar" else hidden_size, **factory)
        if self.connection.standardised:
            modules[STATISTICS] = OutputStatistics(hidden_size, layers, in_state=self.exported, **factory)
        if self.connection.monolingual_share and not self.exported:
            modules[OWN_TRANSFORM] = OwnTransform(hidden_size, in_state=False, **factory)
        return modules

    def attach_modules(self, hidden_size: int, **factory: Any) -> None:
        """Makes the connection's modules (see `make_modules`) this model's own.

        Raises `ValueError` where the name of one is taken by something of the base model.
        """
        for name, module in self.make_modules(hidden_size, **factory).items():
            # PEFT takes each module whose path ends in the name for the one to train in full.
            taken = [path for path, _ in self.named_modules() if path.endswith(name)]
            if taken or getattr(self, name, None) is not None:
                raise ValueError(
                    f"pooling={name!r}: the model has {(taken or [name])[0]}; give it another name"
                )
            setattr(self, name, module)

    @property
    def pooling(self) -> Pooling:
        """What weighs the layers, by this model's settings as they are now."""
        return POOLINGS[self.connection.pooling](self.connection)

    @property
    def pooling_module(self) -> nn.Module | None:
        """The pooling's parameters, or None. PEFT may have put its wrapper around them."""
        return self._modules.get(self.connection.pooling)

    @property
    def trained_modules(self) -> dict[str, nn.Module]:
        """The connection's modules that have parameters to train, by name: the pooling's and the gate."""
        names = (self.connection.pooling, GATE)
        return {name: module for name in names if (module := self._modules.get(name)) is not None}

    @property
    def decoder_layers(self) -> nn.ModuleList:
        """The L decoder layers."""
        return self.get_decoder().get_submodule(self.paths.layers)

    def sublayer_outputs(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, prompt_lengths: Tensor | None = None
    ) -> Tensor:
        """The connected sub-layer's outputs (B, L, d) of all layers at the response start (F of eq. 2).

        `input_ids` (B, T), padded on either side; `prompt_lengths` (B,) defaults to all of a row's tokens.
        Centred and scaled where the settings say so.
        """
        return self.standardised(self.raw_outputs(input_ids, attention_mask, prompt_lengths))

    def raw_outputs(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, prompt_lengths: Tensor | None = None
    ) -> Tensor:
        """`sublayer_outputs` as the model makes them, neither centred nor scaled."""
        return self._record(input_ids, attention_mask, prompt_lengths, self.paths.record)

    def standardised(self, outputs: Tensor) -> Tensor:
        """Raw outputs (B, L, d) as they enter the connection: centred and scaled where it is so set."""
        return outputs if self.output_statistics is None else self.output_statistics(outputs)

    def _record(
        self, input_ids: Tensor, attention_mask: Tensor | None, prompt_lengths: Tensor | None, path: str
    ) -> Tensor:
        # On the right, padding comes after all that counts, and causal attention never looks there: no mask.
        input_ids, lengths = right_padded(input_ids, attention_mask)
        index = (lengths if prompt_lengths is None else prompt_lengths.to(lengths.device)) - 1
        inputs = {"input_ids": input_ids, "use_cache": False}
        # Nothing here is run again in the backward pass: no layer is checkpointed.
        with without_checkpointing(self.decoder_layers):
            return self._probe(inputs, index, path)[0]

    def _probe(self, inputs: dict[str, Any], index: Tensor, path: str) -> tuple[Tensor, Any]:
        """A plain forward of the decoder: every layer's output (B, L, d) at `index` (B,), and the result."""
        modules = [layer.get_submodule(path) for layer in self.decoder_layers]
        with record_outputs(modules, index) as outputs:
            result = _plain_forward(self)(**inputs)
        return torch.stack([output.to(outputs[0].device) for output in outputs], dim=1), result

    def _own_outputs(self, inputs: dict[str, Any], index: Tensor) -> tuple[Tensor, Any]:
        """F (B, L, d) of the tokens at `index` (B,) as it enters the connection, and the forward's result."""
        outputs, result = self._probe(inputs, index, self.paths.record)
        return self.standardised(outputs), result

    def english_outputs(
        self,
        input_ids: Tensor | Sequence[Tensor],
        attention_mask: Any = None,
        english_index: Tensor | None = None,
        *,
        rows: int,
    ) -> Tensor:
        """F_en (B, L, d), B = `rows`: the English prompts' outputs, without gradient unless configured so."""
        buckets = [input_ids] if isinstance(input_ids, Tensor) else list(input_ids)
        masks = (
            [attention_mask]
            if isinstance(attention_mask, Tensor)
            else attention_mask or [None] * len(buckets)
        )
        with torch.set_grad_enabled(self.connection.english_gradient and torch.is_grad_enabled()):
            outputs = torch.cat(
                [self.sublayer_outputs(*bucket) for bucket in zip(buckets, masks, strict=True)]
            )
        if english_index is not None:
            outputs = outputs[english_index]
        if len(outputs) != rows:
            raise ValueError(
                f"english_input_ids holds {len(outputs)} prompts for {rows} rows: pass one for each row, "
                "or english_index (B,) with each row's place among them"
            )
        return outputs

    def input_embeddings(self, inputs: dict[str, Any], index: Tensor) -> Tensor:
        """The e of eq. 3, (B, d): the input embedding at `index` (B,), or the mean over the prompt.

        Raises `ValueError` for a mean over tokens of which some are in the cache alone.
        """
        embeds = inputs.get("inputs_embeds")
        tokens = inputs["input_ids"] if embeds is None else embeds
        embed = self.get_input_embeddings() if embeds is None else nn.Identity()
        if self.connection.embedding == "last":
            return embed(tokens[_rows(tokens), index.to(tokens.device)])
        mask, cache = inputs.get("attention_mask"), inputs.get("past_key_values")
        whole = mask.shape[1] if isinstance(mask, Tensor) and mask.dim() == 2 else 0
        before = 0 if cache is None else int(cache.get_seq_length())
        if before or whole > tokens.shape[1]:
            raise ValueError(
                "embedding='mean' is the mean over the whole prompt, and past_key_values hold a part of it: "
                "pass the whole conversation to generate, or to forward without a cache"
            )
        columns = torch.arange(tokens.shape[1], device=tokens.device)
        prompt = columns <= index.to(tokens.device)[:, None]
        if isinstance(mask, Tensor) and mask.dim() == 2 and mask.shape[1] == tokens.shape[1]:
            prompt = prompt & mask.bool()
        values = _at_least_float32(embed(tokens))
        return torch.einsum("bt,btd->bd", prompt.to(values.dtype), values) / prompt.sum(-1, keepdim=True)

    def fuse(self, outputs: Tensor, embedding: Tensor, *, transform: bool = False) -> Tensor:
        """F (B, d) of eq. 3 and 4, from the sub-layer outputs (B, L, d) and e (B, d).

        With `transform` the outputs are the model's own, and outputs · W_T, plus a bias where the matrix was
        fitted with means, stands for the English ones (eq. 8). Leaves `last_selection`.
        """
        noise = self.training or self.connection.selection == "gumbel"
        with torch.autocast(outputs.device.type, enabled=False):  # small sums, worth their precision
            seen = LayerOutputs(outputs, self.transform_matrix if transform else None)
            weights, logits = self.pooling.weigh(seen, embedding, self.pooling_module, noise=noise)
            self.last_selection = Selection(weights.detach(), None if logits is None else logits.detach())
            f = seen.mixture(weights)
            return f if self.connection_gate is None else self.connection_gate(f)

    def generate(
        self,
        inputs: Tensor | None = None,
        *args: Any,
        english_input_ids: Any = None,
        english_attention_mask: Any = None,
        connection_index: int | None = None,
        prompt_language: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """`generate` of the base model, connected at the prompt's last token (or at column
        `connection_index`).

        With `english_input_ids` (B, P) and `english_attention_mask` the connection is bilingual; with the
        prompts' language ("sw") it is translated: the model itself puts them into English first
        (`english_prompts`), and a row of which the translation does not end is not connected. Without either
        it is monolingual where there is a Transform Matrix. Prompts of different lengths are padded on the
        left.

        Of a conversation the last response start alone is connected. `past_key_values` of an earlier turn
        were connected at that turn's, so they are cut off there and what follows is read anew: the result is
        that of the whole conversation without a cache. Raises `ValueError` where the prompt does not hold
        those tokens any more.
        """
        prompt = {**kwargs, "input_ids": kwargs.get("input_ids") if inputs is None else inputs}
        if not _continues_draft(kwargs):
            self._forget_earlier_turns(prompt)
        if not self.connected or (prompt["input_ids"] is None and prompt.get("inputs_embeds") is None):
            return super().generate(inputs, *args, **kwargs)  # type: ignore[misc]
        mask = prompt.get("attention_mask")
        columns = _query_length(prompt) if mask is None else mask.shape[-1]
        if isinstance(connection_index, Tensor):
            raise ValueError("generate takes connection_index as one int: pad prompts so that it is the same")
        index = columns - 1 if connection_index is None else connection_index
        request = None
        ended: Any = 1
        if prompt_language is not None:
            if english_input_ids is not None or prompt["input_ids"] is None:
                raise ValueError("prompt_language is for prompts as input_ids, without english_input_ids")
            english_input_ids, english_attention_mask, ended = self.english_prompts(
                prompt["input_ids"], mask, language=prompt_language
            )
        with torch.no_grad():
            if english_input_ids is not None:
                rows = len(prompt["inputs_embeds"] if prompt["input_ids"] is None else prompt["input_ids"])
                outputs = self.english_outputs(english_input_ids, english_attention_mask, rows=rows)
                fused = self.fuse(outputs, self._prompt_embedding(prompt, index))
                request = _Generation(self, index, None, fused * ended)
            elif self.transform_matrix is not None and not _continues_draft(kwargs):
                request = _Generation(self, index, self._prompt_embedding(prompt, index), None)
        token = _GENERATION.set(request or _Generation(self, -1, None, None))
        try:
            return super().generate(inputs, *args, **kwargs)  # type: ignore[misc]
        finally:
            _GENERATION.reset(token)

    @torch.no_grad()
    def english_prompts(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, *, language: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The prompts (B, T) put into English by the model itself, greedily.

        It is asked in the words that `config.cctuning` holds for `language`, those of the training rows of
        the setting +MT, and connected as these were: the prompt that asks is its own English. Returns ids
        (B, P) and mask, padded on the left, and whether each translation ended within its limit, (B, 1).
        Raises `ValueError` for a language without words, and for prompts that are more than one message in
        the tokenizer's chat template.
        """
        texts, ended = self.english_texts(input_ids, attention_mask, language=language)
        ids, mask = _padded_left(self._own_translation().prompts(texts), self.device)
        return ids, mask, torch.tensor(ended, device=self.device)[:, None]

    @torch.no_grad()
    def english_texts(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, *, language: str
    ) -> tuple[list[str], list[bool]]:
        """The texts of `english_prompts`, and whether each translation ended; raises as that does."""
        own = self._own_translation()
        own.check(language)
        texts = []
        for number, row in enumerate(input_ids):
            ids = row if attention_mask is None else row[attention_mask[number].bool()]
            texts.append(own.text_of(ids.tolist(), f"row {number}"))
        asked, limits = own.ask(texts, language)
        ends = self.generation_config.eos_token_id
        stops = [ends] if isinstance(ends, int) else list(ends or [self._tokenizer().eos_token_id])
        rules = transformers.GenerationConfig(
            max_new_tokens=max(limits),
            eos_token_id=stops,
            pad_token_id=stops[0],
            do_sample=False,
            num_beams=1,
            num_return_sequences=1,
        )
        ids, mask = _padded_left(asked, self.device)
        connected, self.connected = self.connected, True
        try:
            out = self.generate(
                input_ids=ids,
                attention_mask=mask,
                english_input_ids=ids,
                english_attention_mask=mask,
                generation_config=rules,
            )
        finally:
            self.connected = connected
        responses = out[:, ids.shape[1] :].tolist()
        # Each row within its own limit, whatever is beside it.
        found = [own.read(row[:limit], stops) for row, limit in zip(responses, limits, strict=True)]
        return [text for text, _ in found], [ended for _, ended in found]

    def _own_translation(self) -> OwnTranslation:
        return OwnTranslation(getattr(self.config, "cctuning", {}), self._tokenizer)

    def _tokenizer(self) -> Any:
        """The tokenizer that lies beside the weights."""
        if "cctuning_tokenizer" not in vars(self):
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.name_or_path)
            vars(self)["cctuning_tokenizer"] = tokenizer
        return vars(self)["cctuning_tokenizer"]

    def init_continuous_batching(self, *args: Any, **kwargs: Any) -> Any:
        """As the base model's. Raises `ValueError` for a connected model: see `_check_rows`."""
        if self.connected and self.transform_matrix is not None:
            where = "continuous batching (generate_batch, cache_implementation='paged')"
            raise ValueError(f"{where}: {_ONE_PROMPT}")
        return super().init_continuous_batching(*args, **kwargs)  # type: ignore[misc]

    def _forget_earlier_turns(self, prompt: dict[str, Any]) -> None:
        """Takes out of the prompt's cache what was read with f."""
        cache = prompt.get("past_key_values")
        start = _connected_at(cache)
        if cache is None or start is None:
            return
        mask = prompt.get("attention_mask")
        tokens = _query_length(prompt)
        missing = 0 if mask is None else mask.shape[-1] - tokens
        if _can_crop(cache, 0) and missing <= start:
            cache.crop(start - cache.get_seq_length())
        elif missing == 0:
            _empty(cache, self.config.get_text_config(decoder=True))
        else:
            raise ValueError(
                f"past_key_values are connected at token {start}, where an earlier response starts, and the "
                f"prompt lacks the conversation's first {missing} tokens: pass the whole conversation"
            )
        cache.cctuning_connected_at = None

    def _prompt_embedding(self, prompt: dict[str, Any], index: int) -> Tensor:
        tokens = prompt["input_ids"] if prompt.get("inputs_embeds") is None else prompt["inputs_embeds"]
        mask = prompt.get("attention_mask")
        # Continuing a conversation, the prompt may come without what is in the cache already.
        missing = 0 if mask is None else mask.shape[-1] - tokens.shape[1]
        # The tokens that are here count, whatever the cache holds of them already.
        prompt = {**prompt, "past_key_values": None}
        return self.input_embeddings(
            prompt, tokens.new_full((tokens.shape[0],), index - missing, dtype=torch.long)
        )

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, *args: Any, inputs_embeds: Tensor | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """As the base model's, plus where in these tokens the response starts (-1: not among them)."""
        # Named, because `generate` takes prompts as embeddings only where this signature has them.
        kwargs["inputs_embeds"] = inputs_embeds
        inputs = super().prepare_inputs_for_generation(input_ids, *args, **kwargs)  # type: ignore[misc]
        request = _GENERATION.get()
        if request is None or request.model is not self:
            return inputs
        # This step's tokens are the last `length` of `total`. The response start is among them while the
        # prompt is read (with chunked prefill in one of its steps), and lies behind later on.
        total = _total_length(input_ids, kwargs)
        length = _query_length(inputs)
        index = request.start - (total - length)
        inputs["connection_index"] = index if 0 <= index < length else -1
        if inputs["connection_index"] >= 0:
            batch = input_ids.shape[0]
            inputs["connection_embedding"] = _expanded(request.embedding, batch)
            inputs["connection_output"] = _expanded(request.output, batch)
            # For a static cache `generate` makes the masks of the whole prompt in advance. The prompt is read
            # in pieces here, and a sliding layer's mask depends on the piece: the decoder makes each one's
            # itself.
            if kwargs.get("attention_mask") is not None:
                inputs["attention_mask"] = kwargs["attention_mask"]
        return inputs

    def _response_start(self, inputs: dict[str, Any]) -> Tensor | None:
        """The column (B,) of the response start in a bare forward; None where it lies behind, in the cache.

        Raises `ValueError` where a row has none: without its connection it would be another model.
        """
        ids, past = inputs.get("input_ids"), inputs.get("past_key_values")
        index = None if ids is None else response_starts(ids, self.response_marker)
        marked = torch.zeros(1, dtype=torch.bool) if index is None else index >= 0
        if bool(marked.all()):
            return index
        lies_behind = past is not None and past.get_seq_length() > 0  # and a response goes on
        if lies_behind and not bool(marked.any()):
            return None
        raise ValueError(
            f"no response marker in row {int(marked.long().argmin())} of the input, so it is not known where "
            "to connect: apply the chat template with add_generation_prompt=True, pass connection_index (-1: "
            "not connected), or switch the connection off (model.connected = False)"
        )

    def _forward_with(self, inputs: dict[str, Any], addend: Tensor, index: Tensor) -> Any:
        """A forward with f = `addend` (B, d) added in the target layer at `index` (B,); -1: not at all.

        Raises `ValueError` where the cache was connected at an earlier response start of the conversation.
        """
        here = index >= 0
        cache = inputs.get("past_key_values")
        before = 0 if cache is None else int(cache.get_seq_length())
        earlier = _connected_at(cache)
        if earlier is not None and bool(here.any()):
            raise ValueError(
                f"past_key_values are connected at token {earlier}, where an earlier response starts, and of "
                "a conversation the last response start alone is: take out what they hold from there on "
                f"(crop({earlier - before})) and pass it again, or the whole conversation without a cache"
            )
        addend = addend * here[:, None].to(addend.device, addend.dtype)
        target = self.decoder_layers[self.connection.target_layer]
        with add_to_output(target, self.paths.inject, addend, index.clamp(min=0)):
            result = _plain_forward(self)(**inputs)
        # With return_dict=False some decoders return a tuple: then the cache is the one that was given.
        cache = getattr(result, "past_key_values", cache)
        if cache is not None and bool(here.any()):
            cache.cctuning_connected_at = before + int(index[here].min())
        return result

    def _forward_monolingual(self, inputs: dict[str, Any], index: int, embedding: Tensor | None) -> Any:
        """Reads a prompt into a cache, connected at column `index` with the model's own transformed outputs.

        Attention is causal, so only the response start and what follows it is run a second time.
        """
        cache, length = inputs["past_key_values"], _query_length(inputs)
        tail_inputs = _query_slice(inputs, index, length)
        tokens = tail_inputs.get("input_ids")
        tokens = tail_inputs["inputs_embeds"] if tokens is None else tokens
        start = tokens.new_zeros(tokens.shape[0], dtype=torch.long)
        if embedding is None:
            embedding = self.input_embeddings(inputs, start + index)
        if _can_crop(cache, length):
            # The whole prompt is read once, unconnected. Keys and values before the response start stay as
            # they are; those from there on are taken out again, and the tail is read anew with f.
            outputs, whole = self._own_outputs(inputs, start + index)
            head = whole.last_hidden_state[:, :index]
            cache.crop(index - length)  # negative: so many tokens are removed
        else:
            # What a static cache or a full sliding window has taken in cannot be taken out. So the prompt is
            # read up to the response start, that one token on a copy of the cache for its outputs, and then
            # the tail with f on the cache itself.
            with _without_past_recording(cache):
                before = _query_slice(inputs, 0, index)
                head = _plain_forward(self)(**before).last_hidden_state if index else None
                probe = {**_query_slice(inputs, index, index + 1), "past_key_values": _fork(cache)}
                outputs, _ = self._own_outputs(probe, start)
        result = self._forward_with(tail_inputs, self.fuse(outputs, embedding, transform=True), start)
        if head is not None:  # the caller expects states for all of its tokens, not for the tail alone
            result.last_hidden_state = torch.cat([head, result.last_hidden_state], dim=1)
        return result

    def _forward_twice(self, inputs: dict[str, Any], index: Tensor, embedding: Tensor | None) -> Any:
        """A monolingual forward connected at a column of each row, `index` (B,): read once, then again."""
        if embedding is None:
            embedding = self.input_embeddings(inputs, index.clamp(min=0))
        outputs = self._first_reading(inputs, index)
        return self._forward_with(inputs, self.fuse(outputs, embedding, transform=True), index)

    def _first_reading(self, inputs: dict[str, Any], index: Tensor, *, gradient: bool = False) -> Tensor:
        """F (B, L, d) of the inputs' own tokens at a column of each row, without gradient unless asked."""
        # The rows start their responses at different columns, so no cache can be cropped for all of them: the
        # first reading goes into a copy, and ends where the last row's response starts.
        cache = inputs.get("past_key_values")
        probe = _query_slice(inputs, 0, self._last_column(index) + 1)
        probe |= {"use_cache": False} if cache is None else {"past_key_values": _fork(cache)}
        gradient = gradient and torch.is_grad_enabled()
        with torch.set_grad_enabled(gradient), without_checkpointing(self.decoder_layers):
            return self._own_outputs(probe, index.clamp(min=0))[0]

    def _last_column(self, index: Tensor) -> int:
        """The largest of the columns `index` (B,), up to which a first reading goes."""
        return int(index.max())

    def _with_own(
        self, outputs: Tensor, inputs: dict[str, Any], index: Tensor, english_index: Tensor | None
    ) -> Tensor:
        """What F_en (B, L, d) is in training where the rows' own F is read, too.

        Of a share of the rows, drawn anew each time, it is replaced by their own F · W_T. Leaves
        `last_contrast` where F is aligned to it.
        """
        aligned = self.connection.alignment > 0
        own = self._first_reading(inputs, index, gradient=aligned)
        if aligned:
            # Of a connection with one layer only that one matters.
            layers = slice(None) if self.connection.layer is None else [self.connection.layer]
            questions = torch.arange(len(own)) if english_index is None else english_index
            english = outputs[:, layers].detach().to(own.device)
            self.last_contrast = contrast(own[:, layers], english, questions.to(own.device))
        if self.own_transform is None:
            return outputs
        own = self.own_transform(own.detach())
        drawn = torch.rand(len(outputs)) < self.connection.monolingual_share
        return torch.where(drawn[:, None, None].to(outputs.device), own.to(outputs.device), outputs)


def contrast(own: Tensor, english: Tensor, questions: Tensor) -> Tensor:
    """How badly each row's F[l] tells its own F_en[l] from the others', in nats: (B,), mean over layers.

    -log of the part that its own has of a softmax over cos(F[l], F_en[l]) / 0.1 of the distinct English
    prompts (InfoNCE), from centred outputs (B, L, d). Rows of one prompt are equal in `questions` (B,).
    """
    same = questions[:, None] == questions
    repeated = same.tril(-1).any(-1)  # each prompt counts once: by its first row, and for a row by that row
    left_out = (same | repeated).fill_diagonal_(False)
    with torch.autocast(own.device.type, enabled=False):
        own, english = (nn.functional.normalize(_at_least_float32(side), dim=-1) for side in (own, english))
        scores = torch.einsum("ild,jld->lij", own, english) / 0.1
        of_own = scores.masked_fill(left_out, float("-inf")).log_softmax(-1).diagonal(dim1=1, dim2=2)
        return -of_own.mean(0)


class OwnTranslation:
    """Way of an exported model's prompt into English, but for the generating itself.

    `settings`: the configuration's block `cctuning`; `tokenizer` gives the one beside the weights.
    """

    def __init__(self, settings: Mapping[str, Any], tokenizer: Callable[[], Any]) -> None:
        words = settings.get("into_english", {})
        self._wordings: dict[str, str] = words.get("wordings", {})
        self._start = list(words.get("prompt_start", []))
        self._marker = list(settings.get("response_marker", []))
        self._tokenizer = tokenizer

    def text_of(self, ids: Sequence[int], place: str = "the prompt") -> str:
        """What stands in a prompt between the chat template's beginning and its end.

        Raises `ValueError`, naming `place`, where it is more than one message.
        """
        ids, tokenizer = list(ids), self._tokenizer()
        start, end = len(self._start), len(ids) - len(self._marker)
        inner = ids[start:end]
        if ids[:start] != self._start or ids[end:] != self._marker:
            raise ValueError(f"{place} is no single prompt in the tokenizer's chat template")
        if set(inner) & {*tokenizer.all_special_ids}:
            raise ValueError(f"{place} holds several messages, or a special token in its text")
        return str(tokenizer.decode(inner)).strip()

    def check(self, language: str) -> None:
        """Raises `ValueError` for a language without words."""
        if language not in self._wordings:
            known = ", ".join(self._wordings) or "none; cctuning fit writes the words for it into an export"
            raise ValueError(f"prompt_language={language[:80]!r} is none that this model translates: {known}")

    def ask(self, texts: Sequence[str], language: str) -> tuple[list[list[int]], list[int]]:
        """The prompts that ask for the English of `texts`, and the most tokens of each translation.

        Raises `ValueError` for a text that holds a special token, which could end it and begin another.
        """
        tokenizer = self._tokenizer()
        rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        for text, row in zip(texts, rows, strict=True):
            if set(row) & {*tokenizer.all_special_ids}:
                raise ValueError(f"{text[:80]!r} holds a special token, which is not put into English")
        # As the package's translator limits it: steps of 64, for the text and its end token.
        limits = [64 * math.ceil((2 * (len(row) + 1) + 32) / 64) for row in rows]
        return self.prompts([self._wordings[language].replace("{text}", text) for text in texts]), limits

    def read(self, tokens: Sequence[int], stops: Sequence[int]) -> tuple[str, bool]:
        """The text of a translation, and whether one of `stops` ends it."""
        length = next((place + 1 for place, token in enumerate(tokens) if token in stops), 0)
        text = self._tokenizer().decode(list(tokens[: length or None]), skip_special_tokens=True)
        return str(text).strip(), length > 0

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """The texts as prompts in the tokenizer's chat template."""
        tokenizer = self._tokenizer()
        written = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
            for text in texts
        ]
        ids: list[list[int]] = tokenizer(written, add_special_tokens=False)["input_ids"]
        return ids


def _padded_left(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids (B, T) and attention mask."""
    longest = max(map(len, rows))
    ids = [[row[0]] * (longest - len(row)) + list(row) for row in rows]
    masks = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(masks, device=device)


def _expanded(tensor: Tensor | None, batch: int) -> Tensor | None:
    """One row per beam or returned sequence, in the order of `generate`."""
    return None if tensor is None else tensor.repeat_interleave(batch // tensor.shape[0], dim=0)


def _total_length(input_ids: Tensor, kwargs: dict[str, Any]) -> int:
    """Tokens read once this step is done, from what `generate` hands to `prepare_inputs_for_generation`."""
    mask, cache = kwargs.get("attention_mask"), kwargs.get("past_key_values")
    if isinstance(mask, Tensor) and mask.dim() == 2:
        return mask.shape[-1]
    if kwargs.get("next_sequence_length") is not None or cache is None:
        return input_ids.shape[1]  # the whole sequence, of which the base model cuts what is new
    return input_ids.shape[1] + int(cache.get_seq_length())  # a chunk of the prompt


def _continues_draft(kwargs: dict[str, Any]) -> bool:
    """Whether an assistant model is called for its next draft: its prompt lies behind."""
    config, cache = kwargs.get("generation_config"), kwargs.get("past_key_values")
    return bool(getattr(config, "is_assistant", False) and cache is not None and cache.get_seq_length() > 0)


def _plain_forward(model: Any) -> Callable[..., Any]:
    """The decoder's own forward, without the connection."""
    decoder = model.get_decoder()
    return functools.partial(type(decoder).forward, decoder)


def _connected_forward(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The decoder's forward, connected; `self` is the causal language model around it.

    It is the decoder's because that is what PEFT, TRL's fused LM head and the language model itself all call,
    and what runs inside of the one forward of the outermost module that DDP, FSDP and DeepSpeed wrap.
    """
    plain = _plain_forward(self)
    decoder_class: Any = type(self.get_decoder())
    inputs = {**dict(zip(_parameters(decoder_class), args, strict=False)), **kwargs}
    model, handed_over = _GIVEN.get()
    handed_over = handed_over if model is self else {}
    given = {name: inputs.pop(name, handed_over.get(name)) for name in CONNECTION_ARGUMENTS}
    index, output = given["connection_index"], given["connection_output"]
    english = given["english_input_ids"]
    self.last_contrast = None
    _connected_at(inputs.get("past_key_values"))  # before anything is read into it
    if not self.connected or (isinstance(index, int) and index < 0):
        return plain(**inputs)
    if english is None and output is None and self.transform_matrix is None:
        return plain(**inputs)
    _check_rows(str(self.config.get_text_config(decoder=True)._attn_implementation), inputs)

    def as_rows(value: int | Tensor) -> Tensor:
        tokens = inputs["input_ids"] if inputs.get("input_ids") is not None else inputs["inputs_embeds"]
        return (
            tokens.new_full((tokens.shape[0],), value, dtype=torch.long) if isinstance(value, int) else value
        )

    if index is None and given["prompt_lengths"] is not None:
        index = given["prompt_lengths"] - 1 + _first_tokens(inputs.get("attention_mask"))
    if english is not None:
        if index is None:
            raise ValueError("english_input_ids came without prompt_lengths: where does the response start?")
        index = as_rows(index)
        names = ("english_input_ids", "english_attention_mask", "english_index")
        outputs = self.english_outputs(*(given[name] for name in names), rows=len(index))
        if self.training and (self.own_transform is not None or self.connection.alignment):
            outputs = self._with_own(outputs, inputs, index, given["english_index"])
        return self._forward_with(inputs, self.fuse(outputs, self.input_embeddings(inputs, index)), index)
    if output is not None:
        return self._forward_with(inputs, output, as_rows(index))

    embedding = given["connection_embedding"]
    collects = inputs.get("output_hidden_states") or inputs.get("output_attentions")
    if isinstance(index, int) and inputs.get("past_key_values") is not None and not collects:
        return self._forward_monolingual(inputs, index, embedding)
    index = self._response_start(inputs) if index is None else as_rows(index)
    return plain(**inputs) if index is None else self._forward_twice(inputs, index, embedding)


@functools.cache
def _parameters(decoder_class: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(decoder_class.forward).parameters)[1:]


# --- Classes ------------------------------------------------------------------------------------------------


@functools.cache
def connected_class(mixin: Any, base: Any) -> type:
    """`CCTuning<Base>`: the subclass of `base` that `mixin` connects."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Not every language model hands unknown arguments on to its decoder (GPT-J, Bloom and Falcon do not).
        given = {name: kwargs.pop(name) for name in CONNECTION_ARGUMENTS if name in kwargs}
        token = _GIVEN.set((self, given))
        try:
            return base.forward(self, *args, **kwargs)
        finally:
            _GIVEN.reset(token)

    # `generate` and the Trainer read what a forward accepts from its signature.
    signature = inspect.signature(base.forward)
    parameters = list(signature.parameters.values())
    extra = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in CONNECTION_ARGUMENTS]
    kinds = [parameter.kind for parameter in parameters]
    end = kinds.index(inspect.Parameter.VAR_KEYWORD) if inspect.Parameter.VAR_KEYWORD in kinds else len(kinds)
    parameters[end:end] = extra
    vars(forward)["__signature__"] = signature.replace(parameters=parameters)
    forward.__doc__ = base.forward.__doc__
    body = {
        "forward": forward,
        "__module__": mixin.__module__,
        "__doc__": f"{base.__name__} with CC-Tuning's connection.",
    }
    return type(f"CCTuning{base.__name__}", (mixin, base), body)


class MonolingualConnection(CrossLingualConnection):
    """The connection of an exported model, built from `config.cctuning`."""

    exported = True

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        settings = config.cctuning
        connection = ConnectionConfig(**settings["connection"])
        self.connect(connection, SublayerPaths(**settings["paths"]))
        self.response_marker = tuple(settings["response_marker"])
        hidden_size, factory = settings["hidden_size"], {"dtype": self.dtype, "device": self.device}
        self.attach_modules(hidden_size, **factory)
        self.transform_matrix = TransformMatrix(
            hidden_size,
            layers=len(self.decoder_layers) if settings.get("transform_per_layer") else None,
            rank=settings.get("transform_rank"),
            bias=settings.get("transform_bias", False),
            **factory,
        )


def __getattr__(name: str) -> type:
    base = getattr(transformers, name.removeprefix("CCTuning"), None)
    if not name.startswith("CCTuning") or base is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return connected_class(MonolingualConnection, base)
