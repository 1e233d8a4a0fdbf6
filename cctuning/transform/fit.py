"""Fits the Transform Matrix of a model and measures it on pairs that it has not seen.

Letters: N pairs, L decoder layers, d hidden size.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from cctuning.connection.modeling_cctuning import ConnectionConfig
from cctuning.distributed.sharing import ALONE, Shard
from cctuning.tools.progress import UpdateOf
from cctuning.transform.affine import Transform
from cctuning.transform.learning_curve import curve_report, curve_sizes
from cctuning.transform.matrix_fit import MatrixFit
from cctuning.transform.measured import collect_outputs, measure
from cctuning.transform.pairs import Pair, PairBatch, PairSample, english_numbers, stream_pairs


class Fit(NamedTuple):
    """A Transform Matrix and what is known about it."""

    # W_T (d, d), float64, with F @ W_T ~ F_en; with `mean` (d + 1, d). For layers="each" L of them, which
    # come in two factors where a rank is given. See `affine`.
    transform: Transform
    report: dict[str, Any]  # plain values, see `fit_transform`


def fit_transform(
    model: Any,
    sample: PairSample,
    *,
    pad_token_id: int,
    ridge: float | None = None,
    rank: int | None = None,
    mean: bool = False,
    layers: str = "all",
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
        layers: "all", one matrix for all of them; "each", one for each by itself, for which the outputs of
            all pairs are kept in main memory; "chosen", fit and measure on the layer alone that a connection
            with pooling=layer takes.
        folds: of the cross-validation.
        batch_size: pairs per forward pass.
        shard: of several processes, the first one fits; the others call `run_shard`.
        progress: is called as things get done.

    The report holds, besides sizes and the ridge: `train_mse`; `mse`, `relative_error`, `r2` and `cosine` on
    held-out pairs (see `FitScores.summary`), also for the baselines `identity` (F itself), `layer_mean` (each
    layer's mean) and `plain` (no penalty); `layer_agreement`, how often the layer that is chosen from
    F W_T is the one chosen from F_en, beside the same from F and for always naming the most frequent layer;
    `per_layer`, `languages`, `learning_curve` and `cross_validation`. With layers="each" the ridges are in
    `per_layer`, and `rows` are those of one matrix.

    Raises `ValueError` for outputs that are not finite, too few pairs for the folds, a rank above d, and
    `layers` that do not go with the pooling.
    """
    check_possible(model.connection, model.config.get_text_config().hidden_size, rank, layers)
    layer = model.connection.layer % len(model.decoder_layers) if layers == "chosen" else None
    stream = functools.partial(
        stream_pairs, model, pad_token_id=pad_token_id, batch_size=batch_size, layer=layer, shard=shard
    )
    held_out = collect_outputs(stream(sample.held_out), len(sample.held_out), progress)
    settings = {"ridge": ridge, "rank": rank, "mean": mean, "folds": folds}
    each = layers == "each"
    matrices = len(model.decoder_layers) if each else 1
    fits = _fits(stream, sample.fit, held_out, matrices, progress, **settings)
    if each:
        factors = tuple(map(torch.stack, zip(*(fit.solution.factors for fit in fits), strict=True)))
        transform: Transform = factors if len(factors) > 1 else factors[0]
    else:
        transform = fits[0].solution.weights
    report = _penalties(fits, folds, each=each) | ({} if layer is None else {"chosen_layer": layer})
    means = torch.cat([fit.means for fit in fits])
    measures = measure(model, held_out, sample.held_out, transform, means)
    if each:
        measures["per_layer"] |= {name: [getattr(fit, name) for fit in fits] for name in _PENALTY}
    return Fit(transform, _report(fits, sample, report, measures))


def check_possible(connection: ConnectionConfig, d: int, rank: int | None, layers: str) -> None:
    """Raises `ValueError` for a fit that this connection, or a model of hidden size `d`, cannot have."""
    check_layers(connection.pooling, connection.layer, layers)
    if rank is not None and rank > d:
        raise ValueError(f"rank={rank} is not from 1 to the hidden size, {d}")


def check_layers(pooling: str, layer: int | None, layers: str) -> None:
    """Raises `ValueError` for `layers` of a fit that do not go with a connection's `pooling` and `layer`."""
    if layers == "chosen" and layer is None:
        raise ValueError(
            f"layers=chosen is for pooling=layer: pooling={pooling} looks at the outputs of all layers"
        )
    if layers == "each" and layer is not None:
        raise ValueError(
            f"layers=each is for poolings of all layers: pooling={pooling} takes layer {layer} alone, whose "
            "own matrix is that of layers=chosen"
        )


def _fits(
    stream: Callable[[Sequence[Pair]], Iterator[PairBatch]],
    pairs: Sequence[Pair],
    held_out: Sequence[PairBatch],
    matrices: int,
    progress: UpdateOf,
    **settings: Any,
) -> list[MatrixFit]:
    """One fit of the outputs that `stream` gives, or one for each of their layers: `matrices` in all."""
    sizes, points = curve_sizes(len(pairs)), itertools.count(1)
    numbers = torch.tensor(english_numbers(pairs))

    def outputs(start: int, stop: int) -> Iterator[PairBatch]:
        done = start
        for batch in stream(pairs[start:stop]):
            yield batch._replace(indices=[start + index for index in batch.indices])
            done += len(batch.indices)
            progress("pairs", done, len(pairs))

    def tell() -> None:
        progress("learning curve", next(points), matrices * len(sizes))

    def fit(parts: Iterable[Iterable[PairBatch]], held_out: Sequence[PairBatch]) -> MatrixFit:
        return MatrixFit.make(parts, held_out, numbers=numbers, progress=tell, **settings)

    parts = (outputs(start, stop) for start, stop in _parts(sizes))
    if matrices == 1:
        return [fit(parts, held_out)]
    # Outputs are far smaller than sums: those of all layers are kept, these are of one layer at a time.
    kept = [[batch.cpu() for batch in part] for part in parts]
    return [
        fit([[batch.of(layer) for batch in part] for part in kept], [batch.of(layer) for batch in held_out])
        for layer in range(matrices)
    ]


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
    return list(itertools.pairwise([0, *sizes]))


def _report(
    fits: Sequence[MatrixFit], sample: PairSample, settings: dict[str, Any], measures: dict[str, Any]
) -> dict[str, Any]:
    """All that is known of a fit, of which `settings` are the penalties and the layer, if one alone."""
    one, (layers, d) = fits[0], (sum(len(fit.means) for fit in fits), fits[0].means.shape[-1])
    fitted, error = Counter(pair.language for pair in sample.fit), sum(fit.train_error for fit in fits)
    curve = curve_report(
        [fit.curve for fit in fits],
        elements=len(sample.held_out) * layers * d,
        target=sum(fit.target for fit in fits),
    )
    languages = {
        language: {"pairs": fitted[language], **values} for language, values in measures["languages"].items()
    }
    return {
        "pairs": one.pairs,
        "held_out_pairs": len(sample.held_out),
        "layers": layers,
        "hidden_size": d,
        "rows": one.rows,
        "rows_per_dimension": one.rows / d,
        **settings,
        "train_mse": error / (one.pairs * layers * d),
        **measures,
        "languages": languages,
        "learning_curve": curve,
        "plain": _plain(curve[-1], measures["layer_mean"]["mse"]),
    }


_PENALTY = ("ridge", "relative_ridge")


def _penalties(fits: Sequence[MatrixFit], folds: int, *, each: bool) -> dict[str, Any]:
    report: dict[str, Any] = {} if each else {name: getattr(fits[0], name) for name in _PENALTY}
    choices = [
        {"ridges": list(fit.choice.ridges), "mse": list(fit.choice.errors)} for fit in fits if fit.choice
    ]
    if choices:
        report["cross_validation"] = {"folds": folds, **({"per_layer": choices} if each else choices[0])}
    return report


def _plain(point: dict[str, Any], layer_mean_mse: float) -> dict[str, float | None]:
    mse = point["plain_mse"]
    r2 = 1 - mse / layer_mean_mse if layer_mean_mse > 0 else None
    return {"mse": mse, "relative_error": point["plain_relative_error"], "r2": r2}
