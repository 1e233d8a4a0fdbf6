"""Log-probabilities of answers to a prompt under the model as it is."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cctuning.analysis.transplant.checks import check_ids, check_positions
from cctuning.analysis.transplant.chunks import need, rows_that_fit
from cctuning.analysis.transplant.copied_prefix import CopiedRows
from cctuning.analysis.transplant.interface import GoesPast
from cctuning.analysis.transplant.options import sums
from cctuning.analysis.transplant.plain import plain
from cctuning.analysis.transplant.prefill_prompts import read_whole, read_whole_copied
from cctuning.analysis.transplant.shared_prefix import SharedRows
from cctuning.analysis.transplant.sublayer_outputs import layers_of
from cctuning.analysis.transplant.trees import forest_of

# Tokens of answers that are read at once. Attention is computed between all of them, so more is not faster.
_NODES = 512


def answer_log_probabilities(model: Any, prompt_ids: Tensor, answers: Sequence[Sequence[int]]) -> Tensor:
    """The nats (answers,) float64 of each answer's tokens after the prompt (P,), under the plain model.

    The prompt is read once, and what answers have in common at their beginnings is read once: equal answers
    cost nothing, and an answer's last token is never read. An end token counts where an answer has one.

    Raises `ValueError` for an empty answer, and for tokens and lengths that the model does not have.
    """
    with plain(model) as causal:
        prompt = check_ids(causal, prompt_ids, "prompt_ids")
        checked = [
            check_ids(causal, torch.as_tensor(answer), f"answers[{number}]").tolist()
            for number, answer in enumerate(answers)
        ]
        check_positions(causal, len(prompt), max(map(len, checked), default=0), "prompt_ids")
        rows: SharedRows | CopiedRows
        try:
            first, prefix = read_whole(causal, prompt, len(layers_of(causal)))
            longest = max(map(len, checked), default=1)
            rows = SharedRows(causal, prefix, slots=1, capacity=max(_NODES, longest))
        except GoesPast:
            first, cache = read_whole_copied(causal, prompt)
            rows = CopiedRows(causal, cache, slots=1)
        # One row whose nodes' logits are kept, as many as fit.
        needed = need(causal, prompt=len(prompt), suffix=_NODES, nodes=1)
        nodes = rows_that_fit(causal, needed.row, most=_NODES)
        scores = torch.empty(len(checked), dtype=torch.float64)
        for members, trees in forest_of(checked, nodes):
            rest = rows.after(trees) if trees.tokens.numel() else None
            scores[members] = sums(trees.predictions[0], first, rest)[0].cpu()
    return scores
