import json

import numpy as np
import pytest
import torch

from cctuning.connection.modeling_cctuning import Selection
from cctuning.training.statistics import RowSums, RunningStatistics

LANGUAGES = ["de", "ja", "sw", "yo"]


def random_batches(seed, batches=5, rows=7, layers=3):
    """Batches as (language (B,), RowSums, Selection); no row is Yoruba."""
    torch.manual_seed(seed)
    for _ in range(batches):
        logits = torch.randn(rows, layers) * 3
        weights = torch.nn.functional.one_hot(torch.randint(layers, (rows,)), layers).float()
        numbers, tokens = torch.randint(3, (rows,)), torch.randint(2, 20, (rows,))
        sums = RowSums(torch.rand(rows) * 50, torch.rand(rows) * 5, tokens // 2, tokens)
        yield numbers, sums, Selection(weights, logits)


def add(statistics, batches):
    for numbers, sums, selection in batches:
        statistics.add_rows(numbers, sums)
        statistics.add_selection(selection, sums.tokens > 0)
    return statistics


def collected(batches, **options):
    return add(RunningStatistics(LANGUAGES), batches).collect(**options)


def loss_of(nll, tokens):
    return RowSums(torch.tensor(nll), torch.zeros(len(nll)), torch.zeros(len(nll)), torch.tensor(tokens))


def test_against_numpy():
    batches = list(random_batches(0))
    values = collected(batches)
    numbers = np.concatenate([batch[0].numpy() for batch in batches])
    nll, entropy, correct, tokens = (
        np.concatenate([batch[1][part].numpy() for batch in batches]).astype(float) for part in range(4)
    )
    for number, name in enumerate(LANGUAGES[:3]):
        own = numbers == number
        assert values[f"loss/{name}"] == pytest.approx(nll[own].sum() / tokens[own].sum(), rel=1e-6)
        assert values[f"tokens/{name}"] == tokens[own].sum()
    assert values["loss"] == pytest.approx(nll.sum() / tokens.sum(), rel=1e-6)
    assert values["entropy"] == pytest.approx(entropy.sum() / tokens.sum(), rel=1e-6)
    assert values["mean_token_accuracy"] == pytest.approx(correct.sum() / tokens.sum(), rel=1e-6)
    logits = np.concatenate([batch[2].logits.numpy() for batch in batches]).astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert values["decision_maker/entropy"] == pytest.approx(-(p * np.log(p)).sum(1).mean(), rel=1e-6)
    shares = np.concatenate([batch[2].weights.numpy() for batch in batches]).mean(0)
    assert [values[f"decision_maker/layer_{layer:02d}"] for layer in range(3)] == pytest.approx(shares)


def test_distances_are_means_over_the_rows_that_count():
    statistics = RunningStatistics(LANGUAGES)
    statistics.add_contrasts(torch.tensor([0.5, 1.0, 7.0]), torch.tensor([True, True, False]))
    statistics.add_contrasts(torch.tensor([1.5]), torch.tensor([True]))
    assert statistics.collect()["alignment"] == pytest.approx(1.0)
    statistics.add_contrasts(torch.tensor([1.5]), torch.tensor([False]))
    assert "alignment" not in statistics.collect()


def test_the_losses_of_the_languages_add_up():
    values = collected(random_batches(4))
    tokens = {name: values[f"tokens/{name}"] for name in LANGUAGES[:3]}
    total = sum(values[f"loss/{name}"] * count for name, count in tokens.items())
    assert total / sum(tokens.values()) == pytest.approx(values["loss"], rel=1e-14)


def test_how_rows_are_split_into_batches_does_not_matter():
    batches = list(random_batches(1))
    rows = [
        (
            numbers[i : i + 1],
            RowSums(*(values[i : i + 1] for values in sums)),
            Selection(choice.weights[i : i + 1], choice.logits[i : i + 1]),
        )
        for numbers, sums, choice in batches
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


def test_what_is_kept_in_a_checkpoint_goes_on_as_if_never_stopped():
    """Through JSON, to the last bit: sums of float32 numbers do not stay short."""
    batches = list(random_batches(5))
    before = add(RunningStatistics(LANGUAGES), batches[:3])
    after = RunningStatistics(LANGUAGES)
    after.restore(json.loads(json.dumps(before.state())))
    assert add(after, batches[3:]).collect() == collected(batches)
    assert before.collect() == collected(batches[:3])  # keeping changes nothing


def test_what_is_kept_before_the_first_batch_is_empty():
    statistics = RunningStatistics(LANGUAGES)
    statistics.restore(RunningStatistics(LANGUAGES).state())
    assert statistics.collect() == {}


def test_sums_of_other_languages_are_refused():
    kept = add(RunningStatistics(LANGUAGES), random_batches(6)).state()
    with pytest.raises(ValueError, match=r"languages were de, ja, sw, yo .* and are de, ja, sw: "):
        RunningStatistics(LANGUAGES[:3]).restore(kept)


def test_a_language_without_tokens_has_no_loss():
    values = collected(random_batches(3))
    assert "loss/yo" not in values and "tokens/yo" not in values and "loss/sw" in values


def test_rows_that_do_not_count_change_nothing():
    [(numbers, sums, selection)] = random_batches(7, batches=1)
    counts = torch.tensor([True, False, True, True, False, True, True])
    counted = RunningStatistics(LANGUAGES)
    counted.add_rows(numbers, RowSums(*(values * counts for values in sums)))
    counted.add_selection(selection, counts)
    own = (
        numbers[counts],
        RowSums(*(values[counts] for values in sums)),
        Selection(*(values[counts] for values in selection[:2])),
    )
    assert counted.collect() == pytest.approx(collected([own]), rel=1e-9)


def test_without_logits_there_is_no_entropy_and_without_a_connection_no_layers():
    statistics = RunningStatistics(LANGUAGES)
    statistics.add_selection(Selection(torch.eye(2), None), torch.tensor([True, True]))
    assert statistics.collect() == {"decision_maker/layer_00": 0.5, "decision_maker/layer_01": 0.5}
    statistics.add_rows(torch.tensor([1]), loss_of([6.0], [3]))
    assert {name for name in statistics.collect() if name.startswith("decision_maker")} == set()


def test_collecting_starts_anew():
    statistics = RunningStatistics(LANGUAGES)
    statistics.add_rows(torch.tensor([0, 1]), loss_of([6.0, 1.0], [3, 1]))
    values = statistics.collect()
    assert (values["loss/de"], values["loss/ja"], values["loss"]) == (2.0, 1.0, 7 / 4)
    assert statistics.collect() == {}
