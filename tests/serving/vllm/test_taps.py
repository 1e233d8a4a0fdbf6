"""Taps record and add what hooks written down a second time do."""

import pytest
import torch
from torch import nn

from cctuning.serving.vllm.taps import Taps

D, ROWS = 4, 3


class Layer(nn.Module):
    """As vLLM's: returns what its feed-forward part says, and the residual stream without it."""

    def __init__(self):
        super().__init__()
        self.mlp = nn.Linear(D, D)

    def forward(self, hidden, residual):
        residual = hidden if residual is None else hidden + residual
        return self.mlp(residual.tanh()), residual


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(3))

    def forward(self, hidden):
        residual, outputs = None, []
        for layer in self.layers:
            hidden, residual = layer(hidden, residual)
            outputs.append((hidden, residual))
        return hidden + residual, outputs


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


def taps_of(model, record="mlp", **options):
    return Taps(
        model.layers, record=record, inject="", rows=ROWS, hidden_size=D, dtype=torch.float32, **options
    )


@torch.no_grad()
@pytest.mark.parametrize("record", ["mlp", ""])
def test_records_each_layer_at_the_tokens(model, record):
    inputs = torch.randn(6, D)
    plain, outputs = model(inputs)
    taps = taps_of(model, record)
    taps.record_at(torch.tensor([5, 2]))
    assert torch.equal(model(inputs)[0], plain)  # and changes nothing
    expected = [hidden if record else hidden + residual for hidden, residual in outputs]
    assert torch.equal(taps.recorded(2), torch.stack([out[[5, 2]] for out in expected], dim=1))


@torch.no_grad()
def test_a_layer_that_returns_the_whole_stream_is_recorded_as_it_is(model):
    inputs = torch.randn(6, D)
    _, outputs = model(inputs)
    taps = taps_of(model, "", splits_residual=False)
    taps.record_at(torch.tensor([1]))
    model(inputs)
    assert torch.equal(taps.recorded(1), torch.stack([hidden[[1]] for hidden, _ in outputs], dim=1))


@torch.no_grad()
@pytest.mark.parametrize("target", [0, 1, -1])
def test_adds_to_one_layer_once_and_then_rests(model, target):
    inputs, vectors = torch.randn(6, D), torch.randn(2, D)
    plain, outputs = model(inputs)
    changed = outputs[target][0].index_put((torch.tensor([4, 0]),), vectors, accumulate=True)
    stream = outputs[target][1]
    for layer in model.layers[target:][1:]:
        changed, stream = layer(changed, stream)
    taps = taps_of(model, target=target)
    taps.add(vectors, torch.tensor([4, 0]))
    torch.testing.assert_close(model(inputs)[0], changed + stream)
    taps.rest()
    assert torch.equal(model(inputs)[0], plain)
    torch.testing.assert_close(model(inputs[:1])[0], plain[:1])  # no index is left beyond a shorter step


def test_buffers_do_not_move(model):
    taps = taps_of(model)
    before = [buffer.data_ptr() for buffer in model.buffers()]
    taps.record_at(torch.tensor([1]))
    taps.add(torch.ones(1, D), torch.tensor([1]))
    model(torch.randn(2, D))
    taps.rest()
    assert [buffer.data_ptr() for buffer in model.buffers()] == before
    assert len(before) == 2 * len(model.layers) + 2
