"""The reference against transformers where the connection carries nothing, and against itself elsewhere."""

import pytest
import torch
from torch import nn

from tests.models import ARCHITECTURES, build, random_ids
from tests.naive import (
    Settings,
    TrainingRow,
    gradients,
    gumbel_noise,
    gumbel_softmax,
    inference_vector,
    layers_of,
    naive_generate,
    naive_log_likelihoods,
    naive_monolingual_generate,
    naive_training_step,
    recorded,
)

pytestmark = pytest.mark.usefixtures("no_float32")


def sizes(model):
    return model.config.hidden_size, len(layers_of(model))


def random_connection(model, *, seed=1, size=1.0):
    d, layers = sizes(model)
    generator = torch.Generator().manual_seed(seed)
    decision_maker = torch.randn(d, layers, generator=generator, dtype=model.dtype)
    transform = torch.randn(d, d, generator=generator, dtype=model.dtype) * size / d**0.5
    return decision_maker, transform


def some_rows():
    lengths = [(5, 4, 3), (2, 6, 1), (7, 3, 5)]
    return [
        TrainingRow(*(random_ids(length, seed=10 * row + part) for part, length in enumerate(parts)))
        for row, parts in enumerate(lengths)
    ]


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


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt_neox", "bloom"])
def test_with_nothing_to_inject_a_step_is_transformers_own(name):
    model, rows = build(name), some_rows()
    for layer in range(sizes(model)[1]):
        for module in layers_of(model)[layer].mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    decision_maker, _ = random_connection(model)
    step = naive_training_step(model, rows, decision_maker)

    width = max(len(row.prompt) + len(row.response) for row in rows)
    ids, mask, labels = (torch.full((len(rows), width), fill) for fill in (0, 0, -100))
    for number, row in enumerate(rows):
        end = len(row.prompt) + len(row.response)
        ids[number, :end] = torch.cat([row.prompt, row.response])
        mask[number, :end] = 1
        labels[number, len(row.prompt) : end] = row.response
    plain = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False)
    torch.testing.assert_close(step.loss, plain.loss, rtol=1e-10, atol=1e-10)
    parameters = dict(model.named_parameters())
    expected = gradients(plain.loss, parameters)
    for name, value in gradients(step.loss, parameters).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("hard", [True, False])
def test_gumbel_softmax_is_torch_s(hard):
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(4, 5, dtype=torch.float64)
    torch.manual_seed(7)
    expected = nn.functional.gumbel_softmax(logits, tau=0.7, hard=hard)
    torch.manual_seed(7)
    noise = gumbel_noise(4, 5, torch.float64)
    ours = torch.stack([gumbel_softmax(logits[i], noise[i], temperature=0.7, hard=hard) for i in range(4)])
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(
        torch.autograd.grad((ours * upstream).sum(), logits),
        torch.autograd.grad((expected * upstream).sum(), logits),
    )


def test_english_gradient_changes_gradients_and_not_the_loss():
    model, rows = build("llama"), some_rows()
    decision_maker, _ = random_connection(model)
    noise = gumbel_noise(len(rows), 3, model.dtype)
    steps = [
        naive_training_step(model, rows, decision_maker, Settings(english_gradient=flag), noise=noise)
        for flag in (False, True)
    ]
    torch.testing.assert_close(steps[0].loss, steps[1].loss)
    parameter = {"q": model.model.layers[0].self_attn.q_proj.weight}
    without, with_english = (gradients(step.loss, parameter)["q"] for step in steps)
    assert not torch.allclose(without, with_english)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_generation_is_plain_without_a_transform_and_another_with_one(name):
    """W_T = 0: transformers' own greedy tokens, with its cache. A random W_T: other tokens."""
    model, prompts = build(name), [random_ids(length, seed=length) for length in (1, 9)]
    decision_maker, transform = random_connection(model, size=2.0)
    changed = 0
    for prompt in prompts:
        plain = model.generate(
            prompt[None], attention_mask=torch.ones_like(prompt)[None], max_new_tokens=3, do_sample=False
        )[0, len(prompt) :]
        nothing = naive_monolingual_generate(model, decision_maker, 0 * transform, prompt, 3)
        assert nothing.tokens.tolist() == plain.tolist()
        connected = naive_monolingual_generate(model, decision_maker, transform, prompt, 3)
        changed += connected.tokens.tolist() != plain.tolist()
        assert connected.margin > 1e-6
    assert changed


def test_the_ways_to_generate_agree():
    """The loop, transformers' generate without a cache, and the log-likelihood of the loop's own tokens."""
    model, prompt = build("qwen2"), random_ids(6, seed=2)
    decision_maker, transform = random_connection(model)
    loop = naive_monolingual_generate(model, decision_maker, transform, prompt, 8)
    f, g = inference_vector(model, decision_maker, prompt, transform=transform)
    assert g.tolist() == loop.weights.tolist()
    out = naive_generate(
        model, prompt, f, max_new_tokens=8, do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    assert out.sequences[0, 6:].tolist() == loop.tokens.tolist()
    torch.testing.assert_close(torch.cat(out.logits), loop.logits)
    scores = naive_log_likelihoods(model, prompt, loop.tokens, f)
    torch.testing.assert_close(scores, loop.logits.log_softmax(-1).max(-1).values)


def test_the_decision_varies_over_prompts():
    """Otherwise a wrong Decision Maker could hide behind one layer."""
    model = build("llama")
    decision_maker, transform = random_connection(model)
    chosen = {
        int(inference_vector(model, decision_maker, random_ids(5, seed=s), transform=transform)[1].argmax())
        for s in range(20)
    }
    assert len(chosen) == 3
