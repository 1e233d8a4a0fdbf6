"""Models that compute attention in ways of their own are swept with copies of the prompt, or not at all."""

import copy

import pytest
import torch

from cctuning.analysis.transplant import PromptPair, answer_log_probabilities, batch, sweep, transplant_sweep
from cctuning.analysis.transplant.interface import NAME, GoesPast, attention_by
from cctuning.analysis.transplant.keeper import Keeper
from cctuning.analysis.transplant.shared_prefix import SuffixLayer
from tests.analysis import naive
from tests.float64 import float64
from tests.models import ARCHITECTURES, build, random_ids

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)


@pytest.fixture
def copied(monkeypatch):
    """How many batches copied the prompt."""
    made = []

    class Counted(batch.CopiedRows):
        def __init__(self, *args):
            made.append(args)
            super().__init__(*args)

    monkeypatch.setattr(batch, "CopiedRows", Counted)
    return made


def test_which_architectures_are_copied(copied):
    names = []
    for name in ARCHITECTURES:
        copied.clear()
        next(sweep(build(name), [PromptPair(SOURCE, TARGET)], max_new_tokens=2))
        names += [name] if copied else []
    assert names == ["gptj", "bloom", "falcon", "falcon_serial"]


def with_an_argument(model):
    for layer in model.model.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda _, args, kwargs: (args, kwargs | {"s_aux": torch.ones(4)}), with_kwargs=True
        )


def with_a_layer_of_its_own(model):
    attention = model.model.layers[1].self_attn
    attention.config = copy.deepcopy(attention.config)


def out_of_order(model):
    model.model.layers[2].self_attn.register_forward_pre_hook(
        lambda _, args, kwargs: (args, kwargs | {"is_causal": False}), with_kwargs=True
    )


@pytest.mark.parametrize("change", [with_an_argument, with_a_layer_of_its_own])
def test_what_goes_past_is_copied(change, copied):
    with float64():
        model = build("llama")
        change(model)
        grid = naive.grid(model, SOURCE, TARGET, "ffn", 4)
        assert torch.equal(transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4), grid)
        assert copied
        nats = answer_log_probabilities(model, TARGET, [[5, 6], [7]])
        wanted = naive.option_log_probabilities(model, SOURCE, TARGET, [], "ffn", [[5, 6], [7]])
        torch.testing.assert_close(nats, wanted, rtol=1e-9, atol=1e-9)


def test_attention_to_what_comes_later_goes_past():
    model = build("llama")
    out_of_order(model)
    with pytest.raises(GoesPast, match="LlamaAttention computes attention with no order"), torch.no_grad():
        keeper = Keeper([3])
        keeper.begin([0])
        with attention_by(model, keeper):
            model(TARGET[None, :3])


def passes_over_the_interface(module, args, kwargs):
    if isinstance(kwargs["past_key_values"].layers[0], SuffixLayer):
        module.config = copy.deepcopy(module.config)
        module.config._attn_implementation = "sdpa"
        return args, kwargs | {"attention_mask": None}
    return None


def passes_over_the_mask(module, args, kwargs):
    if isinstance(kwargs["past_key_values"].layers[0], SuffixLayer):
        return args, kwargs | {"attention_mask": None}
    return None


def passes_over_the_cache(module, args, kwargs):
    if isinstance(kwargs["past_key_values"].layers[0], SuffixLayer):
        return args, kwargs | {"past_key_values": None}
    return None


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (passes_over_the_interface, "read 3 layers with 2 calls of its attention function and 3 updates"),
        (passes_over_the_mask, "LlamaAttention passes over what the cache and the mask gave it"),
        (passes_over_the_cache, "read 3 layers with 3 calls of its attention function and 2 updates"),
    ],
)
def test_a_model_that_changes_its_way_is_an_error(hook, words):
    """It read the prompt by the interface, and the rows otherwise: nothing could be told of its answers."""
    model = build("llama")
    attention = model.model.layers[2].self_attn

    def own_hook(module, args, kwargs):
        return hook(module, args, kwargs) if kwargs.get("past_key_values") is not None else None

    attention.register_forward_pre_hook(own_hook, with_kwargs=True)
    with pytest.raises(RuntimeError, match=words):
        transplant_sweep(model, SOURCE, TARGET, max_new_tokens=2)
    assert model.config._attn_implementation == "sdpa"


def test_outside_of_its_block_nobody_is_in_charge():
    model = build("llama")
    model.set_attn_implementation(NAME)
    with pytest.raises(AssertionError, match="is set outside of its block"):
        model(TARGET[None])


def test_a_module_that_is_not_run_is_an_error(monkeypatch):
    """A table that names the wrong module must not give the answers of the model as it is."""
    model = build("llama")
    wrong = torch.nn.Identity()
    model.model.layers[1].unused = wrong
    paths = "cctuning.analysis.transplant.sublayer_outputs._modules"
    real = [layer.mlp for layer in model.model.layers]
    calls = iter([real, real, [real[0], wrong, real[2]]])
    monkeypatch.setattr(paths, lambda *_: next(calls))
    with pytest.raises(RuntimeError, match="ffn outputs 0 times for 1 layers: the architecture table"):
        transplant_sweep(model, SOURCE, TARGET, pairs=[(0, 1)], max_new_tokens=2)


def test_the_attention_is_not_set_for_every_token(monkeypatch):
    model = build("llama")
    told = []
    setting = type(model.model).set_attn_implementation
    monkeypatch.setattr(
        type(model.model),
        "set_attn_implementation",
        lambda decoder, name: (told.append(name), setting(decoder, name)),
    )
    transplant_sweep(model, SOURCE, TARGET, max_new_tokens=2)
    few = len(told)
    transplant_sweep(model, SOURCE, TARGET, max_new_tokens=9)
    assert len(told) == 2 * few
    assert model.config._attn_implementation == told[1] != told[0]
