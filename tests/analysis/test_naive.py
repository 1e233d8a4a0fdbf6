"""The naive transplants against equations: what must not change, and Llama's layers written out by hand."""

import pytest
import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tests.analysis.naive import option_log_probabilities, replaced, source_outputs, transplant
from tests.models import ARCHITECTURES, VOCABULARY, build, random_ids
from tests.naive import layers_of, recorded

pytestmark = pytest.mark.usefixtures("no_float32")

SUBLAYERS = ("ffn", "attention", "attention_residual", "block")
SOURCE, TARGET = random_ids(7, seed=3), random_ids(5, seed=4)


def plain(model, ids, new):
    tokens = model.generate(
        ids[None], attention_mask=torch.ones_like(ids)[None], max_new_tokens=new, do_sample=False
    )
    return tokens[0, len(ids) :].tolist()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_changes_and_what_does_not(name):
    model = build(name)
    last = len(layers_of(model)) - 1
    own, source = plain(model, TARGET, 2), plain(model, SOURCE, 1)
    for sublayer in ("ffn", "attention", "block"):
        every = [(layer, layer) for layer in range(last + 1)]
        assert transplant(model, TARGET, TARGET, every, sublayer, 2).tolist() == own
    # The last layer's output is all that the head sees of the last token.
    assert transplant(model, SOURCE, TARGET, [(last, last)], "block", 1).tolist() == source
    assert source[0] != own[0]
    assert plain(model, TARGET, 2) == own  # nothing is left behind


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_layer_adds_what_was_put_in_place_of_its_feed_forward_output(name):
    model = build(name)
    outputs = source_outputs(model, SOURCE, "ffn")
    with torch.no_grad(), recorded(model, "ffn", -1) as ffn, recorded(model, "block", -1) as block:
        model(input_ids=TARGET[None], use_cache=False)
    swap = replaced(model, [(0, 1)], "ffn", outputs, at=len(TARGET) - 1)
    with torch.no_grad(), recorded(model, "block", -1) as changed, swap:
        model(input_ids=TARGET[None], use_cache=False)
    scale = getattr(model.config, "residual_multiplier", 1.0)
    torch.testing.assert_close(changed[1], block[1] + scale * (outputs[0] - ffn[1]), rtol=1e-10, atol=1e-10)
    assert torch.equal(changed[0], block[0])


@torch.no_grad()
def by_hand(model, ids, at=None, swaps=None, sublayer=None):
    """Llama's layers, written out: logits (T, V), and what each sub-layer gave at the last token.

    `swaps` gives, for a layer, the vector (d,) in place of its sub-layer's output at token `at`.
    """
    decoder, swaps = model.model, swaps or {}
    heads, groups = model.config.num_attention_heads, model.config.num_key_value_heads
    length = len(ids)
    stream = decoder.embed_tokens(ids)
    cos, sin = decoder.rotary_emb(stream[None], torch.arange(length)[None])
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    seen = {name: [] for name in SUBLAYERS}

    def finish(output, layer, name):
        if name == sublayer and layer in swaps:
            output[at] = swaps[layer]
        seen[name].append(output[-1].clone())
        return output

    for number, layer in enumerate(decoder.layers):
        attention, x = layer.self_attn, layer.input_layernorm(stream)
        q, k, v = (
            project(x).view(1, length, -1, attention.head_dim).transpose(1, 2)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k = apply_rotary_pos_emb(q, k, cos, sin)
        k, v = (t.repeat_interleave(heads // groups, dim=1) for t in (k, v))
        scores = (q @ k.mT * attention.head_dim**-0.5).masked_fill(future, -torch.inf)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(length, -1)
        attended = finish(attention.o_proj(mixed), number, "attention")
        seen["attention_residual"].append(attended[-1] + stream[-1])
        stream = stream + attended
        mlp, x = layer.mlp, layer.post_attention_layernorm(stream)
        ffn = mlp.down_proj(torch.nn.functional.silu(mlp.gate_proj(x)) * mlp.up_proj(x))
        stream = finish(stream + finish(ffn, number, "ffn"), number, "block")
    return model.lm_head(decoder.norm(stream)), seen


@pytest.mark.parametrize("sublayer", SUBLAYERS)
@pytest.mark.parametrize("swaps", [[(0, 2)], [(2, 0)], [(1, 1)], [(0, 2), (1, 0), (1, 1)], []])
def test_llama_by_hand(sublayer, swaps):
    """No hook, no cache, no `generate`: tokens one at a time, and the log-probability of every token."""
    model = build("llama")
    _, seen = by_hand(model, SOURCE)
    moved = {target: seen[sublayer][source] for source, target in swaps}
    where = "attention" if sublayer == "attention_residual" else sublayer
    ids = TARGET
    for step in range(6):
        logits = by_hand(model, ids, len(TARGET) - 1, moved, where)[0]
        if step == 0:
            first = logits[-1].log_softmax(-1)
        ids = torch.cat([ids, logits[-1:].argmax(-1)])
    tokens = ids[len(TARGET) :].tolist()
    assert transplant(model, SOURCE, TARGET, swaps, sublayer, 6).tolist() == tokens
    unchanged = by_hand(model, TARGET)[0][-1].log_softmax(-1)
    assert torch.allclose(first, unchanged, atol=1e-3) == (not swaps)

    some = range(0, VOCABULARY, 9)
    options = [*((token,) for token in some), tokens]
    scores = option_log_probabilities(model, SOURCE, TARGET, swaps, sublayer, options)
    torch.testing.assert_close(scores[:-1], first[some], rtol=1e-10, atol=1e-10)
    steps = logits.log_softmax(-1)[len(TARGET) - 1 :]
    torch.testing.assert_close(scores[-1], steps.max(-1).values.sum(), rtol=1e-10, atol=1e-10)
