"""Sweeps against one hook and one `generate` for every pair of layers."""

import pytest
import torch

from cctuning.analysis.transplant import SUBLAYERS, Question, sweep, transplant_sweep
from tests.analysis import naive
from tests.float64 import float64
from tests.models import ARCHITECTURES, build, random_ids

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("sublayer", SUBLAYERS)
def test_all_pairs_of_every_architecture(name, sublayer):
    with float64():
        model = build(name)
        expected = naive.grid(model, SOURCE, TARGET, sublayer, 4)
        assert torch.equal(transplant_sweep(model, SOURCE, TARGET, sublayer, max_new_tokens=4), expected)


@pytest.mark.parametrize("name", ["llama", "gemma2", "bloom"])
def test_float32_and_half(name):
    """Rounding differs between batches, so in half precision only most pairs have the same tokens."""
    model = build(name, dtype=torch.float32)
    expected = naive.grid(model, SOURCE, TARGET, "ffn", 4)
    assert torch.equal(transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4), expected)
    same = transplant_sweep(model.bfloat16(), SOURCE, TARGET, max_new_tokens=4) == expected
    assert same.double().mean() > 0.5


def test_a_grid_reads_no_more_than_it_must():
    model = build("llama")
    (result,) = sweep(model, [Question(SOURCE, TARGET)])
    assert result.token_forwards <= 20 * 3**2 + len(SOURCE) + len(TARGET)
