"""Numbers of rows and questions to read at once: as many as memory holds and the device is fast with."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil
import torch
from transformers import PreTrainedModel

# More rows at once are not faster: of one question, and of several, each of which brings its own prefix.
_ROWS, _MOST_ROWS = {"cpu": 512}, 1024
_ROWS_OF_SEVERAL, _MOST_ROWS_OF_SEVERAL = {"cpu": 128}, 256
_SHARE = 0.8  # of the memory that is free
_SORTED = 256  # questions that are sorted by length at a time

Item = TypeVar("Item")


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a batch takes, beside the model: for each row, and for each question."""

    row: int
    question: int


def need(model: PreTrainedModel, *, prompt: int, suffix: int, nodes: int, copied: bool = False) -> MemoryNeed:
    """An estimate from above for prompts of so many tokens.

    A row keeps `suffix` tokens of its own, and reads `nodes` at once where options are scored; `copied` rows
    hold their prompt, too.
    """
    config: Any = model.config.get_text_config(decoder=True)
    element = model.dtype.itemsize
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = max(width, getattr(config, "qk_head_dim", 0) or 0)
    token = 2 * config.num_hidden_layers * heads * width * element  # keys and values
    # What a token has in memory while it goes through a layer.
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    active = (8 * config.hidden_size + 4 * inner) * element
    # Logits as they come, in float32, and as log-probabilities.
    logits = config.vocab_size * (element + 3 * 4)
    read = max(1, nodes)
    # A layer's suffixes are copied when rows leave, the prefix when questions of several lengths are joined.
    row = suffix * token * 5 // 4 + read * (active + logits) + (2 * prompt * token if copied else 0)
    return MemoryNeed(row, 2 * prompt * token)


def rows_that_fit(model: PreTrainedModel, bytes_of_row: int, most: int | None = None) -> int:
    """The number of rows of so many bytes to read at once: what fits, and is not more than is of use."""
    most = most or _ROWS.get(model.device.type, _MOST_ROWS)
    return max(1, min(most, int(_SHARE * free_memory(model.device)) // bytes_of_row))


def questions_that_fit(model: PreTrainedModel, needed: MemoryNeed, cells: int) -> int:
    """The number of questions with so many cells each that share a batch."""
    most = _ROWS_OF_SEVERAL.get(model.device.type, _MOST_ROWS_OF_SEVERAL)
    rows = rows_that_fit(model, needed.row + needed.question // cells, most)
    return max(1, rows // cells)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, with what PyTorch keeps for later tensors."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    return int(psutil.virtual_memory().available)


def chunks(items: Sequence[Item], most: int) -> list[Sequence[Item]]:
    """The items in as few parts of at most so many as it takes, none much smaller than another."""
    parts = -(-len(items) // most)
    bounds = [len(items) * part // parts for part in range(parts + 1)]
    return [items[start:stop] for start, stop in itertools.pairwise(bounds)]


def batches(lengths: Sequence[int], most: int) -> Iterator[list[list[int]]]:
    """Places in `lengths` in batches of at most `most`, of like length.

    What is yielded at a time are batches that hold the next places between them, so that results in order do
    not wait for the last batch.
    """
    window = max(most, _SORTED // most * most)
    for start in range(0, len(lengths), window):
        places = range(start, min(start + window, len(lengths)))
        yield [list(part) for part in chunks(sorted(places, key=lambda place: -lengths[place]), most)]
