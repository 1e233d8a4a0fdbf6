"""The reference takes outputs at the right place, and is strong enough to find a wrong choice of layer."""

import pytest
import torch

from tests.models import ARCHITECTURES, build, random_ids
from tests.naive import inference_vector, layers_of, recorded

pytestmark = pytest.mark.usefixtures("no_float32")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_sublayer_outputs_are_what_a_layer_adds(name):
    """Layer in + multiplier * (attention + feed-forward) = layer out: both are taken at the right place."""
    model = build(name)
    ids, at = random_ids(6, seed=3)[None], 4
    stream = []
    handles = [
        layer.register_forward_hook(
            lambda module, args, kwargs, output: stream.append(
                (
                    (args[0] if args else kwargs["hidden_states"])[0, at].clone(),
                    (output[0] if isinstance(output, tuple) else output)[0, at].clone(),
                )
            ),
            with_kwargs=True,
        )
        for layer in layers_of(model)
    ]
    with torch.no_grad(), recorded(model, "ffn", at) as ffn, recorded(model, "attention", at) as attention:
        model(input_ids=ids, use_cache=False)
    for handle in handles:
        handle.remove()
    scale = getattr(model.config, "residual_multiplier", 1.0)
    for (before, after), f, a in zip(stream, ffn, attention, strict=True):
        torch.testing.assert_close(before + scale * (f + a), after, rtol=1e-10, atol=1e-10)


def test_the_decision_varies_over_prompts():
    """Otherwise a wrong Decision Maker could hide behind one layer."""
    model = build("llama")
    d, layers = model.config.hidden_size, len(layers_of(model))
    torch.manual_seed(1)
    decision_maker = torch.randn(d, layers, dtype=model.dtype)
    transform = torch.randn(d, d, dtype=model.dtype) / d**0.5
    chosen = {
        int(inference_vector(model, decision_maker, random_ids(5, seed=s), transform=transform)[1].argmax())
        for s in range(20)
    }
    assert len(chosen) == 3
