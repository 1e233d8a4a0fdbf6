import numpy as np
import pytest
import torch

from cctuning.modeling_cctuning import Selection
from cctuning.run_statistics import RunningStatistics

LANGUAGES = ["de", "ja", "sw", "yo"]


def random_batches(seed, batches=5, rows=7, layers=3):
    """Batches as (language (B,), nll (B,), tokens (B,), Selection); no row is Yoruba."""
    torch.manual_seed(seed)
    for _ in range(batches):
        logits = torch.randn(rows, layers) * 3
        weights = torch.nn.functional.one_hot(torch.randint(layers, (rows,)), layers).float()
        numbers = torch.randint(3, (rows,))
        yield numbers, torch.rand(rows) * 50, torch.randint(1, 20, (rows,)), Selection(weights, logits)


def collected(batches, languages=LANGUAGES, **options):
    statistics = RunningStatistics(languages)
    for numbers, nll, tokens, selection in batches:
        statistics.add_losses(numbers, nll, tokens)
        statistics.add_selection(selection)
    return statistics.collect(**options)


def test_against_numpy():
    batches = list(random_batches(0))
    values = collected(batches)
    numbers, nll, tokens = (np.concatenate([batch[part].numpy() for batch in batches]) for part in range(3))
    for number, name in enumerate(LANGUAGES[:3]):
        own = numbers == number
        assert values[f"loss/{name}"] == pytest.approx(nll[own].sum() / tokens[own].sum(), rel=1e-6)
    logits = np.concatenate([batch[3].logits.numpy() for batch in batches]).astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert values["decision_maker/entropy"] == pytest.approx(-(p * np.log(p)).sum(1).mean(), rel=1e-6)
    shares = np.concatenate([batch[3].weights.numpy() for batch in batches]).mean(0)
    assert [values[f"decision_maker/layer_{layer:02d}"] for layer in range(3)] == pytest.approx(shares)


def test_how_rows_are_split_into_batches_does_not_matter():
    batches = list(random_batches(1))
    rows = [
        (
            numbers[i : i + 1],
            nll[i : i + 1],
            tokens[i : i + 1],
            Selection(choice.weights[i : i + 1], choice.logits[i : i + 1]),
        )
        for numbers, nll, tokens, choice in batches
        for i in range(len(numbers))
    ]
    assert collected(rows) == pytest.approx(collected(batches), rel=1e-9)


def test_processes_add_up():
    """Two processes with half of the batches each report, after summing, what one with all of them does."""
    batches = list(random_batches(2, batches=4))
    other: dict[int, torch.Tensor] = {}

    def note(tensor):
        other[len(other)] = tensor
        return tensor

    collected(batches[:2], reduce=note)
    sums = iter(other.values())
    assert collected(batches[2:], reduce=lambda tensor: tensor + next(sums)) == pytest.approx(
        collected(batches)
    )


def test_a_language_without_tokens_has_no_loss():
    values = collected(random_batches(3))
    assert "loss/yo" not in values and "loss/sw" in values


def test_without_logits_there_is_no_entropy_and_without_a_connection_no_layers():
    statistics = RunningStatistics(LANGUAGES)
    statistics.add_selection(Selection(torch.eye(2), None))
    assert statistics.collect() == {"decision_maker/layer_00": 0.5, "decision_maker/layer_01": 0.5}
    statistics.add_losses(torch.tensor([1]), torch.tensor([6.0]), torch.tensor([3]))
    assert statistics.collect() == {"loss/ja": 2.0}


def test_collecting_starts_anew():
    statistics = RunningStatistics(LANGUAGES)
    statistics.add_losses(torch.tensor([0, 1]), torch.tensor([6.0, 1.0]), torch.tensor([3, 1]))
    assert statistics.collect() == {"loss/de": 2.0, "loss/ja": 1.0}
    assert statistics.collect() == {}
