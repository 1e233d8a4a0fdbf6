"""Rows that go on from prefixes they share: no row holds a copy of what all of them have read.

A cache keeps the rows' own tokens only. What the attention function was given for the prefix while that was
read stands in `Prefix`, by attention module, and takes part in every row's softmax.

As long as all rows of a question read the same tokens, those that no swap has touched are one row: of a grid
of L layers half of all layers' work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

from cctuning.analysis.transplant.attention import States, Visible, attend
from cctuning.analysis.transplant.interface import attention_by
from cctuning.analysis.transplant.sublayer_outputs import layers_of
from cctuning.analysis.transplant.trees import Trees


@dataclass(frozen=True)
class Prefix:
    """Prefix that Q questions' rows share: P tokens, padded on the left where some are shorter."""

    states: dict[nn.Module, States]  # by attention module: keys (Q, K, P, d), values (Q, K, P, v)
    lengths: tuple[int, ...]  # Q

    @property
    def width(self) -> int:
        """P."""
        return max(self.lengths)

    def select(self, questions: Sequence[int]) -> Prefix:
        """The prefixes of some of the questions, without the padding that these do not need."""
        lengths = tuple(self.lengths[question] for question in questions)
        start = self.width - max(lengths)
        states = {
            module: States(*(state[list(questions), :, start:] for state in layer_states))
            for module, layer_states in self.states.items()
        }
        return Prefix(states, lengths)


class SuffixLayer(CacheLayerMixin):
    """The keys and values of the rows' own tokens in one layer, in buffers that are made once."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, prefix: int, capacity: int) -> None:
        super().__init__()
        self.prefix = prefix
        self.capacity = capacity
        self.length = 0
        self.updates = 0

    def spread(self, rows: int) -> None:
        """Makes the last row's suffix that of all further ones, up to so many rows."""
        if self.is_initialized and len(self.keys) < rows:
            self.keep(_first_rows(rows, len(self.keys)))

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Makes the buffers (R, K, capacity, ·)."""
        self.keys, self.values = (
            state.new_empty(*state.shape[:2], self.capacity, state.shape[-1])
            for state in (key_states, value_states)
        )
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Appends new tokens (R, K, n, ·); gives all of the suffix, without the prefix."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[-2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        self.updates += 1
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep(self, rows: Tensor) -> None:
        """Makes the suffixes those of some of the rows."""
        for name in ("keys", "values"):
            buffer = getattr(self, name)
            kept = buffer.new_empty(len(rows), *buffer.shape[1:])
            kept[:, :, : self.length] = buffer[:, :, : self.length][rows.to(buffer.device)]
            setattr(self, name, kept)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """The number of tokens that attention reads, prefix and all, and that the first is the prompt's."""
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """The number of tokens that were read, those of the prefix included."""
        return self.prefix + self.length

    def get_max_length(self) -> int:
        """The number of tokens that there is room for."""
        return self.prefix + self.capacity


class SharedRows:
    """A batch of Q questions with C rows each that reads on from the questions' prefixes.

    Logits come at least in float32. `begins` are the layers (C,) at which the rows of a single question first
    differ from the model as it is, in order, and L for those that never do; None: nothing is known of them.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prefix: Prefix,
        slots: int,
        capacity: int,
        begins: Sequence[int] | None = None,
    ) -> None:
        self.model = model
        # Of each layer, how many rows it has to read: those that differ, and one for all others.
        self._rows = begins and [
            min(slots, 1 + sum(begin <= layer for begin in begins)) for layer in range(len(prefix.states))
        ]
        self.prefix = prefix
        self.slots = slots
        self._layers = [SuffixLayer(prefix.width, capacity) for _ in prefix.states]
        self._layer_tokens = [0] * len(prefix.lengths)
        self._remaining = list(range(len(prefix.lengths)))
        self._trees: Trees | None = None
        self._attended: list[nn.Module] = []

    @property
    def questions(self) -> int:
        """Q."""
        return len(self.prefix.lengths)

    @property
    def token_forwards(self) -> list[int]:
        """For each question that the batch began with, what its layers have read: in tokens through all."""
        return [-(-tokens // len(self._layers)) for tokens in self._layer_tokens]

    def read(self, tokens: Tensor) -> Tensor:
        """Logits (R, n, V) after each of the rows' next tokens (R, n)."""
        if self._rows and (tokens != tokens[:1]).any():
            self._spread()
        return self._read(tokens, None)

    def after(self, trees: Trees) -> Tensor:
        """Logits (R, n, V) after each node of the trees that follow the rows; the nodes do not stay."""
        length = self._layers[0].length
        tokens = trees.tokens.to(self.model.device)
        each = self.slots if len(tokens) == self.questions else self.slots * self.questions
        logits = self._read(tokens.repeat_interleave(each, 0), trees)
        for layer in self._layers:
            layer.length = length
        return logits

    def _spread(self) -> None:
        """Gives every row a suffix of its own in all layers."""
        self._rows = None
        for layer in self._layers:
            layer.spread(self.slots)

    def _read(self, tokens: Tensor, trees: Trees | None) -> Tensor:
        offset = self._layers[0].length
        self._trees, self._attended = trees, []
        for layer in self._layers:
            layer.updates = 0
        depths = torch.arange(tokens.shape[1])[None] if trees is None else trees.depths
        starts = torch.tensor(self.prefix.lengths)[:, None] + offset
        positions = (starts + depths).repeat_interleave(self.slots, 0).to(tokens.device)
        read: Sequence[int] = [len(tokens)] * len(self._layers)
        if self._rows:
            tokens, positions, read = tokens[: self._rows[0]], positions[:1], self._rows
        with attention_by(self.model, self), _rows_by_layer(self.model, self._rows):
            logits = self.model(
                input_ids=tokens,
                position_ids=positions,
                past_key_values=Cache(layers=list(self._layers)),
                use_cache=True,
            ).logits
        self._check()
        for question in self._remaining:
            self._layer_tokens[question] += sum(read) * tokens.shape[1] // self.questions
        if self._rows:
            logits = logits[_first_rows(self.slots, len(logits)).to(logits.device)]
        return logits if logits.dtype == torch.float64 else logits.float()

    def _check(self) -> None:
        """Every layer's attention was computed here, once, and looked at the suffix that we keep."""
        whole = len(self._attended) == len(set(self._attended)) == len(self._layers)
        if not whole or any(layer.updates != 1 for layer in self._layers):
            raise RuntimeError(
                f"{type(self.model).__name__} read {len(self._layers)} layers with {len(self._attended)} "
                f"calls of its attention function and {sum(layer.updates for layer in self._layers)} "
                "updates of its cache: it cannot be swept with a shared prefix"
            )

    def keep(self, questions: Sequence[int], rows: Tensor) -> None:
        """Goes on with some of the questions, and some rows (len(questions), C') of those."""
        if self._rows:
            self._spread()
        if len(questions) < self.questions:
            self.prefix = self.prefix.select(questions)
            self._remaining = [self._remaining[question] for question in questions]
        self.slots = rows.shape[1]
        for layer in self._layers:
            layer.prefix = self.prefix.width
            layer.keep(rows.flatten())

    def attend(
        self, module: nn.Module, query: Tensor, own: States, mask: Any, scaling: float, softcap: float | None
    ) -> Tensor:
        """See `interface.InCharge`; (R, H, n, d) -> (R, n, H, v)."""
        if not isinstance(mask, Visible) or own.keys.shape[-2] != self._layers[0].length:
            raise RuntimeError(f"{type(module).__name__} passes over what the cache and the mask gave it")
        self._attended.append(module)
        return attend(query, self.prefix.states[module], own, mask, scaling=scaling, softcap=softcap)

    def mask(self, mask_function: Callable[..., Tensor], **given: Any) -> Visible:
        """See `interface.InCharge`: what the model's own mask function says of the new tokens.

        It sees columns: P of the prefix, padding and all, then the suffix. Windows are distances, so it does
        not matter that a shorter prefix begins further right.
        """
        width, length, new = self.prefix.width, self._layers[0].length, given["q_length"]
        depths = torch.arange(new)[None] if self._trees is None else self._trees.depths
        positions = torch.cat([torch.arange(length).expand(len(depths), -1), length + depths], -1)
        columns = torch.cat([torch.arange(width).expand(len(depths), -1), width + positions], -1)
        queries = columns[:, -new:, None]
        seen = mask_function(torch.tensor(0), torch.tensor(0), queries, columns[:, None])
        seen = seen.expand(len(depths), new, -1)
        suffix = seen[..., width:]
        if self._trees is not None:
            before = torch.ones(*suffix.shape[:2], length, dtype=torch.bool)
            suffix = suffix & torch.cat([before, self._trees.ancestors], -1)
        start = int(seen[..., :width].any(0).any(0).long().cumsum(-1).eq(0).sum())
        prefix = seen[..., start:width]
        if min(self.prefix.lengths) < width:
            not_padded = torch.arange(start, width) >= width - torch.tensor(self.prefix.lengths)[:, None]
            prefix = prefix & not_padded[:, None]
        device = self.model.device
        masks = [None if part.all() else part.to(device) for part in (prefix, suffix)]
        return Visible(start, *masks)


def _first_rows(rows: int, known: int) -> Tensor:
    """For each of so many rows (rows,) its place among those that are there: the last one for all others."""
    return torch.arange(rows).clamp(max=known - 1)


@contextmanager
def _rows_by_layer(model: PreTrainedModel, rows: Sequence[int] | None) -> Iterator[None]:
    """Inside the block each layer reads so many rows, the last one of the layer before for all new ones."""
    with ExitStack() as stack:

        def spread(_module: nn.Module, args: Any, kwargs: Any, *, layer_rows: int) -> Any:
            hidden = args[0] if args else kwargs["hidden_states"]
            hidden = hidden[_first_rows(layer_rows, len(hidden)).to(hidden.device)]
            return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

        for layer, layer_rows in zip(layers_of(model), rows or (), strict=False):
            hook = functools.partial(spread, layer_rows=layer_rows)
            stack.callback(layer.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield
