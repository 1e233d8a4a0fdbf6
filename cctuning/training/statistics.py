"""Statistics of a training run: the loss, in all and per language, and the Decision Maker's choices."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cctuning.connection.modeling_cctuning import Selection
from cctuning.training.metrics import CHOICE_ENTROPY, LAYER_SHARE, TOKENS


class RowSums(NamedTuple):
    """Sums over the label tokens of each row; each (B,)."""

    nll: Tensor  # negative log-likelihood of the labels, in nats
    entropy: Tensor  # of the next-token distributions, in nats
    correct: Tensor  # labels that are the most likely next token
    tokens: Tensor  # labels


class RunningStatistics:
    """Sums over batches, in float64, kept on the device so that nothing waits for it until they are read.

    `languages` are the names that the batches' language numbers stand for.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = list(languages)
        self._sums: dict[str, Tensor] = {}

    def add_rows(self, language: Tensor, rows: RowSums) -> None:
        """Adds a batch: language numbers (B,), and what its rows sum up to."""
        # A product with 0 and 1 sums in the same order every time; index_add_ on a GPU does not.
        of_language = torch.nn.functional.one_hot(language, len(self.languages)).double()
        self._add("rows", torch.stack([values.double() for values in rows]) @ of_language)

    def add_selection(self, selection: Selection, counts: Tensor) -> None:
        """Adds a batch's choices: weights (B, L), and where there are logits (B, L) their entropy.

        `counts` (B,) is False for rows that are to be left out.
        """
        counted = counts.double()
        self._add("layers", counted @ selection.weights.double())
        if selection.logits is not None:
            log_p = selection.logits.double().log_softmax(-1)
            self._add("undecided", -((log_p.exp() * log_p).sum(-1) @ counted))
        self._add("selections", counted.sum())

    def add_contrasts(self, contrasts: Tensor, counts: Tensor) -> None:
        """Adds a batch's contrasts (B,) of F with F_en; `counts` (B,) is False for rows to leave out."""
        counted = counts.double()
        self._add("contrasts", torch.stack([counted @ contrasts.double(), counted.sum()]))

    def _add(self, name: str, value: Tensor) -> None:
        before = self._sums.get(name)
        self._sums[name] = value if before is None else before.to(value.device) + value

    def state(self) -> dict[str, Any]:
        """The sums of this process as JSON values, from which `restore` has them exactly as they were."""
        return {
            "languages": self.languages,
            "sums": {name: value.tolist() for name, value in self._sums.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts the sums of `state` in place of these. Raises `ValueError` where the languages differ."""
        if list(state["languages"]) != self.languages:
            raise ValueError(
                f"the rows' languages were {', '.join(state['languages'])} when the checkpoint was written, "
                f"and are {', '.join(self.languages)}: continue with the rows that the run began with"
            )
        self._sums = {name: torch.tensor(value, dtype=torch.float64) for name, value in state["sums"].items()}

    def collect(self, reduce: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, float]:
        """The statistics since the last call, and starts anew; `reduce` sums a tensor over processes.

        `loss`: mean nats per label token, `loss/<language>` the same of one language's rows, and
        `tokens/<language>` their label tokens, so that the losses weighted with the tokens give the loss.
        `entropy`: of the next-token distribution, in nats, and `mean_token_accuracy`: the share of label
        tokens that are the most likely next token; means over label tokens.
        `decision_maker/entropy`: of the softmax of its logits, in nats. `decision_maker/layer_<l>`: the share
        of rows that took layer l, from 0. `alignment`: the mean contrast of F with F_en, in nats.
        """
        sums = {name: reduce(value).cpu() for name, value in sorted(self._sums.items())}
        self._sums = {}
        values: dict[str, float] = {}
        if "rows" in sums:
            values |= _of_tokens(self.languages, RowSums(*sums["rows"]))
        if sums.get("selections"):
            if "undecided" in sums:
                values[CHOICE_ENTROPY] = float(sums["undecided"] / sums["selections"])
            for layer, share in enumerate((sums["layers"] / sums["selections"]).tolist()):
                values[f"{LAYER_SHARE}{layer:02d}"] = share
        if "contrasts" in sums and sums["contrasts"][1]:
            values["alignment"] = float(sums["contrasts"][0] / sums["contrasts"][1])
        return values


def _of_tokens(languages: Sequence[str], sums: RowSums) -> dict[str, float]:
    """The numbers to log of sums per language, each (languages,)."""
    nll, entropy, correct, tokens = (float(values.sum()) for values in sums)
    if not tokens:
        return {}
    values = {"loss": nll / tokens, "entropy": entropy / tokens, "mean_token_accuracy": correct / tokens}
    for name, language_nll, language_tokens in zip(
        languages, sums.nll.tolist(), sums.tokens.tolist(), strict=True
    ):
        if language_tokens:
            values[f"loss/{name}"] = language_nll / language_tokens
            values[f"{TOKENS}{name}"] = int(language_tokens)
    return values
