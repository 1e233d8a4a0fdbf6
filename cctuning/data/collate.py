"""Examples -> padded batches of both languages, with little padding and each English prompt once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from cctuning.data.batches import pad
from cctuning.data.encoding import IGNORED


@dataclass(frozen=True)
class ParallelCollator:
    """Pads prompt-and-response rows to the right; English prompts go into length buckets.

    A batch of B rows with U distinct English prompts has `input_ids`, `attention_mask`, `labels` (B, T),
    `prompt_lengths`, `language`, `example`, `aligned` (B,), and with `english`: `english_input_ids` and
    `english_attention_mask` as lists of one (b, P) tensor per bucket, and `english_index` (B,), the row's
    place among the U prompts in bucket order.
    """

    pad_token_id: int
    english: bool = True
    english_buckets: int = 2
    pad_to_multiple_of: int = 1

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The batch of these rows of `encoding.training_set`."""
        ids, mask = self.pad([example["input_ids"] for example in examples])
        labels, _ = self.pad([example["labels"] for example in examples], IGNORED)
        batch: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        batch["prompt_lengths"] = torch.tensor([example["prompt_length"] for example in examples])
        for name in ("language", "example", "aligned"):
            batch[name] = torch.tensor([example[name] for example in examples])
        if self.english:
            batch |= self.collate_english([example["english_input_ids"] for example in examples])
        return batch

    def collate_english(self, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
        """The English side of a batch, from one prompt per row."""
        distinct = sorted({tuple(prompt) for prompt in prompts}, key=lambda prompt: (len(prompt), prompt))
        place = {prompt: index for index, prompt in enumerate(distinct)}
        bounds = bucket_bounds([len(prompt) for prompt in distinct], self.english_buckets)
        padded = [self.pad(distinct[start:stop]) for start, stop in pairwise(bounds)]
        return {
            "english_input_ids": [ids for ids, _ in padded],
            "english_attention_mask": [mask for _, mask in padded],
            "english_index": torch.tensor([place[tuple(prompt)] for prompt in prompts]),
        }

    def pad(self, sequences: Sequence[Sequence[int]], value: int | None = None) -> tuple[Tensor, Tensor]:
        """Sequences padded on the right with `value`, by default the pad token, and the mask."""
        value = self.pad_token_id if value is None else value
        return pad(sequences, value, multiple=self.pad_to_multiple_of)


def bucket_bounds(lengths: Sequence[int], buckets: int) -> list[int]:
    """Where to cut sorted `lengths` into at most `buckets` runs, so that padding each to its longest costs
    least.

    Returns the bounds, from 0 to `len(lengths)`.
    """
    count = len(lengths)
    # best[j]: fewest padded tokens for the first j lengths, and the bounds that give it.
    best: list[tuple[int, list[int]]] = [(0, [0])] + [
        (lengths[j - 1] * j, [0, j]) for j in range(1, count + 1)
    ]
    for _ in range(buckets - 1):
        best = [best[0]] + [
            min(
                [best[j]] + [(best[i][0] + lengths[j - 1] * (j - i), [*best[i][1], j]) for i in range(1, j)],
                key=lambda cost_and_bounds: cost_and_bounds[0],
            )
            for j in range(1, count + 1)
        ]
    return best[count][1]
