"""Measures of a Transform Matrix on pairs that it was not fitted on.

Letters: n pairs, L decoder layers, d hidden size.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from cctuning.tools.progress import UpdateOf
from cctuning.transform.affine import Transform, affine
from cctuning.transform.agreement import LayerAgreement
from cctuning.transform.fit_scores import FitScores, score
from cctuning.transform.pairs import Pair, PairBatch


def collect_outputs(
    stream: Iterable[PairBatch], pairs: int, progress: UpdateOf, *, what: str = "held-out pairs"
) -> list[PairBatch]:
    """All batches, in main memory, as the pairs are few; `what` they are, for `progress`."""
    batches: list[PairBatch] = []
    for batch in stream:
        batches.append(batch.cpu())
        progress(what, sum(len(done.indices) for done in batches), pairs)
    return batches


def measure(
    model: Any, batches: Sequence[PairBatch], pairs: Sequence[Pair], transform: Transform, means: Tensor
) -> dict[str, Any]:
    """All that is known of F W_T as a prediction of F_en on `pairs`, whose outputs `batches` are.

    `transform` is W_T in float64, as `affine` takes it; `means` (L, d) are those of F_en that an R² of 0
    stands for. The report holds `mse`, `relative_error`, `r2` and `cosine` (see `FitScores.summary`),
    `layer_agreement` where the pooling chooses, the baselines `identity` and `layer_mean`, `per_layer` and
    `languages`.
    """
    scores = score(batches, lambda F: affine(F, transform), means)
    identity = score(batches, lambda F: F, means)
    layer_mean = score(batches, lambda F: means.expand_as(F), means)
    agreement = LayerAgreement.measure(model, batches, transform)
    agreed = (
        {}
        if agreement is None
        else {
            "layer_agreement": agreement.transformed,
            "layer_agreement_identity": agreement.own,
            "layer_agreement_most_frequent": agreement.most_frequent,
        }
    )
    return {
        **scores.summary(),
        **agreed,
        "identity": identity.summary(),
        "layer_mean": layer_mean.summary(),
        "per_layer": scores.per_layer() | {"identity_r2": identity.per_layer()["r2"]},
        "languages": _languages(pairs, scores, agreement),
    }


def mean_outputs(batches: Sequence[PairBatch]) -> Tensor:
    """The mean of F_en (L, d) over all pairs of `batches`, in float64."""
    return torch.cat([batch.F_en.double() for batch in batches]).mean(0)


def _languages(
    pairs: Sequence[Pair], scores: FitScores, agreement: LayerAgreement | None
) -> dict[str, dict[str, Any]]:
    report: dict[str, dict[str, Any]] = {}
    for language in sorted({pair.language for pair in pairs}):
        of_language = [index for index, pair in enumerate(pairs) if pair.language == language]
        report[language] = {"held_out_pairs": len(of_language), **scores.of(of_language).summary()}
        if agreement is not None:
            report[language]["layer_agreement"] = agreement.of(of_language).transformed
    return report
