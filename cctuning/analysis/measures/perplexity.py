"""Perplexity of a model's answers, and of those under transplants.

exp(-log p / n) of an answer of n tokens, its end token too, with a log-probability of log p nats. Answers of
five tokens or fewer are left out, as in the paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from cctuning.analysis.cells.grid import Answers, Grid
from cctuning.stats.bootstrap import Array
from cctuning.stats.estimates import MEAN, PAIR_RESAMPLES, POOLED, Estimate, Estimates, Limits, Resampling

SHORTEST = 6  # tokens
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the quantiles
# Ten bins for each power of ten; the last one holds all that is higher.
EDGES = tuple(float(edge) for edge in np.round(10 ** np.arange(0, 4.05, 0.1), 4))

LogProbability = Callable[[Answers], Array]
WHOSE: dict[str, LogProbability] = {
    "": lambda answers: answers.log_probability,  # of the model that wrote the answer
    "plain_": lambda answers: answers.plain_log_probability,  # of the model as it is
}


def log_perplexity(answers: Answers, log_probability: Array) -> Array:
    """In nats per token; NaN for short answers and where the log-probability is unknown. Any shape."""
    long = answers.new_tokens >= SHORTEST
    tokens = np.where(long, answers.new_tokens, 1)
    return np.where(long & np.isfinite(log_probability), -log_probability / tokens, np.nan)


def measure_perplexity(grids: Mapping[str, Grid], resampling: Resampling) -> dict[str, Estimates]:
    """Perplexities of a benchmark by quantity and language.

    Of the transplanted answers: `perplexity`, the geometric mean; `quantiles_by_level`, at `LEVELS`;
    `histogram_by_bin`, the shares of answers from each of `EDGES` to the next; `long`, the share of answers
    that are long enough; `above_original`, the share whose perplexity is above that of the original answer
    to the same question. Each also under the model as it is, `plain_`, and all but the last for the
    original answers, `original_`. Of each pair, (L, L): `perplexity_by_pair`, the geometric mean, and
    `average_perplexity_by_pair`, the arithmetic one, as in the paper's Figure 8; it follows the few answers
    that are least likely.
    """
    quantities: dict[str, Estimates] = {}
    for prefix, whose in WHOSE.items():
        cells = {
            language: log_perplexity(grid.cells, whose(grid.cells)).reshape(len(grid.questions), -1)
            for language, grid in grids.items()
        }
        target = {
            language: log_perplexity(grid.target, whose(grid.target))[:, None]
            for language, grid in grids.items()
        }
        for name, values in [(prefix, cells), (f"original_{prefix}", target)]:
            for quantity, estimates in _distribution(values, resampling).items():
                quantities[f"{name}{quantity}"] = estimates
        quantities |= _by_pair(grids, prefix, whose, resampling)
        quantities[f"{prefix}above_original"] = _above(cells, target, resampling)
    return quantities


def _by_pair(
    grids: Mapping[str, Grid], prefix: str, whose: LogProbability, resampling: Resampling
) -> dict[str, Estimates]:
    """Both means of the long answers under each pair of layers."""
    values = {language: log_perplexity(grid.cells, whose(grid.cells)) for language, grid in grids.items()}
    is_long = {language: ~np.isnan(nats) for language, nats in values.items()}

    def mean_of(scores: Mapping[str, Array]) -> Estimates:
        filled = {language: np.where(is_long[language], array, 0.0) for language, array in scores.items()}
        return resampling.estimate(filled, is_long, limits=None, resamples=PAIR_RESAMPLES)

    averages = mean_of({language: np.exp(nats) for language, nats in values.items()})
    geometric = {language: _exp(estimate) for language, estimate in mean_of(values).items()}
    return {f"{prefix}perplexity_by_pair": geometric, f"{prefix}average_perplexity_by_pair": averages}


def _distribution(values: Mapping[str, Array], resampling: Resampling) -> dict[str, Estimates]:
    """All quantities of some log-perplexities, (Q, answers) per language."""
    is_long = {language: ~np.isnan(nats) for language, nats in values.items()}
    counts = {language: flags.sum(1) for language, flags in is_long.items()}
    means = resampling.estimate(
        {language: np.nan_to_num(nats).sum(1) for language, nats in values.items()}, counts, limits=None
    )
    limits: Limits | None = (0.0, 1.0)
    if any(nats.shape[1] > 1 for nats in values.values()):
        limits = None  # means over several answers
    quantiles = resampling.described({language: _quantiles(nats) for language, nats in values.items()})
    everything = np.concatenate([nats.ravel() for nats in values.values()])
    quantiles[POOLED] = replace(quantiles[MEAN], value=_quantiles(everything))
    return {
        "long": resampling.estimate(
            {language: flags.mean(1) for language, flags in is_long.items()}, limits=limits
        ),
        "perplexity": {language: _exp(estimate) for language, estimate in means.items()},
        "quantiles_by_level": quantiles,
        "histogram_by_bin": resampling.estimate(
            {language: _binned(nats) for language, nats in values.items()},
            {language: np.tile(count[:, None], len(EDGES)) for language, count in counts.items()},
            limits=limits,
        ),
    }


def _exp(estimate: Estimate) -> Estimate:
    return Estimate(np.exp(estimate.value), np.exp(estimate.low), np.exp(estimate.high), estimate.questions)


def _quantiles(values: Array) -> Array:
    long = values[~np.isnan(values)]
    return np.exp(np.quantile(long, LEVELS)) if len(long) else np.full(len(LEVELS), np.nan)


def _binned(values: Array) -> Array:
    """The number of a question's answers in each bin: (Q, answers) to (Q, bins)."""
    question, answer = np.nonzero(~np.isnan(values))
    # Rounding may put a perplexity of 1 just below the first edge.
    bins = np.searchsorted(np.log(EDGES), values[question, answer], side="right").clip(1) - 1
    counts = np.zeros((len(values), len(EDGES)))
    np.add.at(counts, (question, bins), 1)
    return counts


def _above(cells: Mapping[str, Array], target: Mapping[str, Array], resampling: Resampling) -> Estimates:
    both = {language: ~np.isnan(nats - target[language]) for language, nats in cells.items()}
    return resampling.estimate(
        {language: (nats > target[language]).sum(1) for language, nats in cells.items()},
        {language: flags.sum(1) for language, flags in both.items()},
        limits=None,
    )
