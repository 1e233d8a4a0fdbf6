"""The second pass over a step: the tokens from the response starts on alone, with f added.

Attention is causal, so what comes before a response start stays as the first pass left it. Keys and values
from there on are overwritten in their slots, and so are the hidden states.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cctuning.serving.vllm.errors import UnservableError


class Tails(NamedTuple):
    """The tokens of a narrow batch: short requests first, because backends take decodes before prefills."""

    order: list[int]  # of the response starts
    tokens: list[int]  # of the step, in the order of the narrow batch
    bounds: list[int]  # of each request in the narrow batch; the first of one is a response start


def tails_of(starts: Sequence[Any]) -> Tails:
    """The tail of each of `starts`, which have `token` and `end`."""
    order = sorted(range(len(starts)), key=lambda number: starts[number].end - starts[number].token)
    tokens: list[int] = []
    bounds = [0]
    for number in order:
        tokens.extend(range(starts[number].token, starts[number].end))
        bounds.append(len(tokens))
    return Tails(order, tokens, bounds)


def run(
    forward: Callable[..., Tensor],
    runner: Any,
    added: Sequence[tuple[Any, Tensor]],
    inputs: dict[str, Any],
    hidden: Tensor,
) -> None:
    """Runs the tails of response starts with each one's f added, and writes the states into `hidden` (T, d).

    `added`: response starts and f (d,). `inputs`: of the first pass.
    """
    from vllm.forward_context import set_forward_context

    starts = [start for start, _ in added]
    tails = tails_of(starts)
    tokens = torch.tensor(tails.tokens).to(runner.device)
    bounds = torch.tensor(tails.bounds, dtype=torch.int32)
    rows = torch.tensor([starts[number].row for number in tails.order])
    # After the first pass: builders of metadata keep buffers, which that one was reading from.
    metadata, slots = _attention(runner, rows, tokens, bounds)
    vectors = torch.stack([added[number][1] for number in tails.order])
    runner.get_model().cctuning_taps.add(vectors, bounds[:-1].long().to(runner.device))
    with set_forward_context(metadata, runner.vllm_config, num_tokens=len(tails.tokens), slot_mapping=slots):
        states = forward(
            runner,
            input_ids=inputs["input_ids"][tokens],
            positions=inputs["positions"][tokens],
            intermediate_tensors=None,
            inputs_embeds=None,
        )
    hidden[tokens] = states


def _attention(
    runner: Any, rows: Tensor, tokens: Tensor, bounds: Tensor
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Attention metadata and slots of `tokens` by layer, for requests `rows` of the batch."""
    from vllm.v1.attention.backend import CommonAttentionMetadata

    batch = runner.input_batch
    on_device = rows.to(runner.device)
    upper = runner.optimistic_seq_lens_cpu[rows]
    metadata: dict[str, Any] = {}
    slots: dict[str, Tensor] = {}
    for number, group in enumerate(runner.kv_cache_config.kv_cache_groups):
        table = batch.block_table[number]
        mapping = table.slot_mapping.gpu[tokens]
        common = CommonAttentionMetadata(
            query_start_loc=bounds.to(runner.device),
            query_start_loc_cpu=bounds,
            seq_lens=runner.seq_lens[on_device],
            seq_lens_cpu_upper_bound=upper,
            num_reqs=len(rows),
            num_actual_tokens=len(tokens),
            max_query_len=int(bounds.diff().max()),
            max_seq_len=int(upper.max()),
            block_table_tensor=table.get_device_tensor(batch.num_reqs)[on_device],
            slot_mapping=mapping,
            causal=True,
            is_prefilling=torch.ones(len(rows), dtype=torch.bool),
            positions=runner.positions[tokens],
        )
        slots |= dict.fromkeys(group.layer_names, mapping)
        for attention_group in runner.attn_groups[number]:
            built = attention_group.build_metadata(common)
            metadata |= dict.fromkeys(attention_group.layer_names, built)
    return metadata, slots


def check_signatures() -> None:
    """Raises `UnservableError` where vLLM's attention metadata is not what `run` makes."""
    from dataclasses import fields

    from vllm.v1.attention.backend import CommonAttentionMetadata

    known = {field.name for field in fields(CommonAttentionMetadata)}
    used = {"query_start_loc_cpu", "seq_lens_cpu_upper_bound", "is_prefilling", "positions", "slot_mapping"}
    if missing := used - known:
        raise UnservableError(f"vLLM's CommonAttentionMetadata has no {', '.join(sorted(missing))}")
