import math

import pytest
import torch

from cctuning.transform.fit_scores import score
from cctuning.transform.pairs import PairBatch


def batches(F, F_en, order):
    """Two batches that bring the pairs in another order."""
    embeddings = torch.zeros(len(F), F.shape[-1])
    parts = (order[:3], order[3:])
    return [PairBatch(part, F[part], F_en[part], embeddings[part]) for part in parts]


@pytest.fixture
def data():
    torch.manual_seed(0)
    return torch.randn(7, 3, 5), torch.randn(7, 3, 5), torch.randn(3, 5, dtype=torch.float64)


def test_scores_are_the_definitions(data):
    F, F_en, means = data
    scores = score(batches(F, F_en, [4, 6, 0, 2, 1, 5, 3]), lambda F: 2 * F, means)
    P, T = 2 * F.double(), F_en.double()
    summary = scores.summary()
    assert summary["mse"] == pytest.approx(float(((P - T) ** 2).mean()))
    assert summary["relative_error"] == pytest.approx(float((P - T).norm() / T.norm()))
    assert summary["r2"] == pytest.approx(1 - float(((P - T) ** 2).sum() / ((T - means) ** 2).sum()))
    rows = [
        float(p @ t / (p.norm() * t.norm())) for p, t in zip(P.flatten(0, 1), T.flatten(0, 1), strict=True)
    ]
    assert summary["cosine"] == pytest.approx(math.fsum(rows) / len(rows))


def test_pairs_and_layers_are_told_apart_whatever_the_batches(data):
    F, F_en, means = data
    scores = score(batches(F, F_en, [4, 6, 0, 2, 1, 5, 3]), lambda F: F, means)
    errors = (F - F_en).double() ** 2
    assert scores.of([2, 5]).summary()["mse"] == pytest.approx(float(errors[[2, 5]].mean()))
    assert scores.per_layer()["mse"] == pytest.approx(errors.mean((0, 2)).tolist())


def test_perfect_predictions_and_layer_means(data):
    F, F_en, means = data
    in_order = batches(F, F_en, list(range(7)))
    assert score(batches(F, F, list(range(7))), lambda F: F, means).summary() == {
        "mse": 0.0,
        "relative_error": 0.0,
        "r2": 1.0,
        "cosine": pytest.approx(1.0),
    }
    assert score(in_order, lambda F: means.expand_as(F), means).summary()["r2"] == 0.0


def test_shares_of_zero_have_no_value():
    zeros = torch.zeros(7, 3, 5)
    scores = score(batches(zeros, zeros, list(range(7))), lambda F: F, torch.zeros(3, 5, dtype=torch.float64))
    assert scores.summary() == {"mse": 0.0, "relative_error": None, "r2": None, "cosine": 0.0}
