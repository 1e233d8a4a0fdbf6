"""The lens of layer k against a model that ends behind layer k."""

import pytest
import torch
from torch import nn

from cctuning import CCTuningModel
from cctuning.analysis.lens.head import lens_logits
from cctuning.connection.modeling_cctuning import record_outputs
from cctuning.pretrained.architectures import ARCHITECTURES as TABLE
from cctuning.pretrained.architectures import Architecture
from tests.models import ARCHITECTURES, build, random_ids
from tests.naive import layers_of

IDS = random_ids(7, seed=1)[None]
PLACES = torch.arange(2, 7)


@torch.no_grad()
def read(model):
    """Every layer's outputs at `PLACES`, and the model's logits there."""
    with record_outputs(list(layers_of(model)), PLACES) as outputs:
        logits = model(input_ids=IDS, use_cache=False).logits[0, PLACES]
    return outputs, logits


@torch.no_grad()
def logits_of_the_first(model, count):
    """What the model predicts where its decoder has only its first layers."""
    decoder, layers = model.get_decoder(), layers_of(model)
    name = next(name for name, module in decoder.named_children() if module is layers)
    before = model.config.num_hidden_layers
    try:
        setattr(decoder, name, nn.ModuleList(layers[:count]))
        model.config.num_hidden_layers = count
        return model(input_ids=IDS, use_cache=False).logits[0, PLACES]
    finally:
        setattr(decoder, name, layers)
        model.config.num_hidden_layers = before


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_layer_is_read_as_a_model_that_ends_there(name):
    model = build(name)
    outputs, logits = read(model)
    found = list(lens_logits(model, outputs, logits))
    torch.testing.assert_close(found[-1], logits, rtol=1e-12, atol=1e-12)
    for layer, own in enumerate(found):
        torch.testing.assert_close(own, logits_of_the_first(model, layer + 1), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found[0], found[-1])


@pytest.mark.parametrize("wrap", [lambda model: model, CCTuningModel.wrap], ids=["plain", "connected"])
def test_the_model_is_as_before(wrap):
    model = wrap(build("llama"))
    before = vars(model.get_decoder()).get("forward")
    outputs, logits = read(model)
    list(lens_logits(model, outputs, logits))
    assert vars(model.get_decoder()).get("forward") is before
    assert torch.equal(read(model)[1], logits)


def test_a_model_with_more_behind_its_layers_is_refused(monkeypatch):
    model = build("llama")
    outputs, logits = read(model)
    monkeypatch.setitem(TABLE, "llama", Architecture(final_norm="layers.0.input_layernorm"))
    with pytest.raises(ValueError, match=r"LlamaForCausalLM: .* off the model's own logits"):
        list(lens_logits(model, outputs, logits))


def test_a_final_norm_that_is_not_there_is_refused(monkeypatch):
    model = build("llama")
    outputs, logits = read(model)
    monkeypatch.setitem(TABLE, "llama", Architecture(final_norm="ln_f"))
    with pytest.raises(ValueError, match="not as the architecture table says"):
        list(lens_logits(model, outputs, logits))
