"""Fits the Transform Matrix of a model and measures it on pairs that it has not seen.

Letters: N pairs, L decoder layers, d hidden size.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.distributed.sharing import ALONE, Shard
from cctuning.tools.progress import UpdateOf
from cctuning.transform.learning_curve import curve_point, curve_sizes
from cctuning.transform.least_squares import LeastSquares, RidgeChoice
from cctuning.transform.measured import collect_outputs, measure
from cctuning.transform.pairs import PairSample, english_numbers, stream_pairs


class Fit(NamedTuple):
    """A Transform Matrix and what is known about it."""

    transform: Tensor  # W_T (d, d), float64, with F @ W_T ~ F_en; with `mean` (d + 1, d), see `affine`
    report: dict[str, Any]  # plain values, see `fit_transform`


def fit_transform(
    model: Any,
    sample: PairSample,
    *,
    pad_token_id: int,
    ridge: float | None = None,
    rank: int | None = None,
    mean: bool = False,
    chosen_layer: bool = False,
    folds: int = 5,
    batch_size: int = 8,
    shard: Shard = ALONE,
    progress: UpdateOf = lambda what, done, total: None,
) -> Fit:
    """Fits W_T on `sample.fit` and measures it on `sample.held_out`.

    Args:
        model: a `CCTuningModel` in eval mode.
        sample: see `sample_pairs`.
        pad_token_id: any id, for padding that is not looked at.
        ridge: None, chosen by cross-validation over pairs; a number, that penalty; 0.0, no penalty.
        rank: of W_T at most, None for d; see `LeastSquares.solve`.
        mean: F_en is predicted by its mean and what W_T makes of F less its mean; see `LeastSquares`.
        chosen_layer: fit and measure on the layer alone that a connection with pooling=layer takes.
        folds: of the cross-validation.
        batch_size: pairs per forward pass.
        shard: of several processes, the first one fits; the others call `run_shard`.
        progress: is called as things get done.

    The report holds, besides sizes and the ridge: `train_mse`; `mse`, `relative_error`, `r2` and `cosine` on
    held-out pairs (see `FitScores.summary`), also for the baselines `identity` (F itself), `layer_mean` (each
    layer's mean) and `plain` (no penalty); `layer_agreement`, how often the layer that is chosen from
    F W_T is the one chosen from F_en, beside the same from F and for always naming the most frequent layer;
    `per_layer`, `languages`, `learning_curve` and `cross_validation`.

    Raises `ValueError` for outputs that are not finite, too few pairs for the folds, a rank above d, and
    another pooling with `chosen_layer`.
    """
    check_possible(model.connection, model.config.get_text_config().hidden_size, rank, chosen_layer)
    layer = model.connection.layer % len(model.decoder_layers) if chosen_layer else None
    stream = functools.partial(
        stream_pairs, model, pad_token_id=pad_token_id, batch_size=batch_size, layer=layer, shard=shard
    )
    sizes = curve_sizes(len(sample.fit))
    measured = collect_outputs(stream(sample.held_out), len(sample.held_out), progress)
    held_out = LeastSquares(measured[0].F.shape[-1], folds=1, mean=mean)
    for batch in measured:
        held_out.update(batch.F, batch.F_en)

    fit = LeastSquares(held_out.d, folds=folds, mean=mean)
    means = torch.zeros(measured[0].F.shape[1:], dtype=torch.float64)
    numbers = torch.tensor(english_numbers(sample.fit))
    curve = []
    for start, stop in _parts(sizes):
        # Nested subsets: the moments only grow, so each point of the curve is one more solution on the way.
        done = start
        for batch in stream(sample.fit[start:stop]):
            fit.update(batch.F, batch.F_en, numbers[start:stop][batch.indices])
            means += batch.F_en.double().sum(0).cpu()
            done += len(batch.indices)
            progress("pairs", done, len(sample.fit))
        if stop < len(sample.fit):
            curve.append(curve_point(fit, held_out, ridge, rank))
            progress("learning curve", len(curve), len(sizes))
    means /= len(sample.fit)

    choice = fit.choose_ridge() if ridge is None else None
    penalty = choice.ridge if choice is not None else float(ridge or 0.0)
    transform = fit.solve(penalty, rank=rank)
    curve.append(curve_point(fit, held_out, penalty, rank))
    progress("learning curve", len(sizes), len(sizes))
    report = _sizes(fit, sample) | _ridge(fit, penalty, choice)
    report |= {} if layer is None else {"chosen_layer": layer}
    report |= {"train_mse": fit.squared_error(transform) / (fit.rows * fit.d)}
    report |= measure(model, measured, sample.held_out, transform, means)
    fitted = Counter(pair.language for pair in sample.fit)
    report["languages"] = {
        language: {"pairs": fitted[language], **values} for language, values in report["languages"].items()
    }
    report["learning_curve"] = curve
    report["plain"] = _plain(curve[-1], report["layer_mean"]["mse"])
    return Fit(transform, report)


def check_possible(connection: ConnectionConfig, d: int, rank: int | None, chosen_layer: bool) -> None:
    """Raises `ValueError` for a fit that this connection, or a model of hidden size `d`, cannot have."""
    if chosen_layer and connection.layer is None:
        raise ValueError(
            f"layers=chosen is for pooling=layer: pooling={connection.pooling} looks at the outputs of all "
            "layers"
        )
    if rank is not None and rank > d:
        raise ValueError(f"rank={rank} is not from 1 to the hidden size, {d}")


def run_shard(
    model: Any, sample: PairSample, *, pad_token_id: int, batch_size: int = 8, shard: Shard
) -> None:
    """The part of `fit_transform` of all processes but the first: their forward passes, in its order."""
    parts = [sample.fit[start:stop] for start, stop in _parts(curve_sizes(len(sample.fit)))]
    for pairs in (sample.held_out, *parts):
        for _ in stream_pairs(model, pairs, pad_token_id=pad_token_id, batch_size=batch_size, shard=shard):
            pass  # the first process has it


def _parts(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """The begin and end of each part, of pairs that grow to these sizes."""
    return list(pairwise([0, *sizes]))


def _sizes(fit: LeastSquares, sample: PairSample) -> dict[str, Any]:
    return {
        "pairs": fit.pairs,
        "held_out_pairs": len(sample.held_out),
        "layers": fit.layers,
        "hidden_size": fit.d,
        "rows": fit.rows,
        "rows_per_dimension": fit.rows / fit.d,
    }


def _ridge(fit: LeastSquares, ridge: float, choice: RidgeChoice | None) -> dict[str, Any]:
    report: dict[str, Any] = {"ridge": ridge, "relative_ridge": ridge / (fit.mean_eigenvalue or 1.0)}
    if choice is not None:
        report["cross_validation"] = {
            "folds": len(fit.folds),
            "ridges": list(choice.ridges),
            "mse": list(choice.errors),
        }
    return report


def _plain(point: dict[str, Any], layer_mean_mse: float) -> dict[str, float | None]:
    mse = point["plain_mse"]
    r2 = 1 - mse / layer_mean_mse if layer_mean_mse > 0 else None
    return {"mse": mse, "relative_error": point["plain_relative_error"], "r2": r2}
