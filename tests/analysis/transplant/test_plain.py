"""A model is as it was after a sweep, whatever it was and however the sweep ends."""

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model

from cctuning.analysis.transplant import PromptPair, answer_log_probabilities, sweep, transplant_sweep
from tests.analysis import naive
from tests.models import build, random_ids
from tests.questions import exported_model

SOURCE, TARGET = random_ids(7, seed=3), random_ids(9, seed=4)
QUESTIONS = [PromptPair(SOURCE, TARGET), PromptPair(SOURCE, TARGET[2:])]


def state(model):
    """All of a model that a sweep touches."""
    modules = list(model.modules())
    return (
        [module.training for module in modules],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
        [module.forward for module in modules],
        model.config.to_dict(),
        model.config._attn_implementation,
        model.generation_config.to_dict(),
        getattr(model, "connected", None),
        torch.is_grad_enabled(),
    )


@pytest.fixture(params=["llama", "gemma2", "bloom"])
def model(request):
    model = build(request.param).train()
    model.model.layers[1].eval() if request.param != "bloom" else None
    return model


def test_after_success(model):
    before = state(model)
    for _ in sweep(model, QUESTIONS, max_new_tokens=2, rows=1):
        assert state(model) == before  # between questions, too
    transplant_sweep(model, SOURCE, TARGET, "attention_residual", max_new_tokens=2)
    answer_log_probabilities(model, TARGET, [[5, 6]])
    assert state(model) == before


@pytest.mark.parametrize("call", range(1, 5))
def test_after_an_exception(model, call):
    """Raised in the middle of a forward: while prompts are read, in the first step, and later."""
    calls = 0

    def fail(*_):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt

    model.get_input_embeddings().register_forward_pre_hook(fail)
    before = state(model)
    for sublayer in ("ffn", "attention_residual"):
        calls = 0
        with pytest.raises(KeyboardInterrupt):
            transplant_sweep(model, SOURCE, TARGET, sublayer, max_new_tokens=4)
        assert state(model) == before


def test_dropout_is_off_in_a_sweep():
    model = build("llama", attention_dropout=0.5)
    wanted = transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4)
    assert torch.equal(transplant_sweep(model.train(), SOURCE, TARGET, max_new_tokens=4), wanted)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_either_attention_of_the_model(implementation):
    model = build("llama")
    model.set_attn_implementation(implementation)
    grid = naive.grid(model, SOURCE, TARGET, "ffn", 4)
    assert torch.equal(transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4), grid)
    assert model.config._attn_implementation == implementation


def test_a_connection_is_switched_off(tmp_path):
    model = exported_model(tmp_path)
    connected = model.generate(TARGET[None], max_new_tokens=4, do_sample=False)
    model.connected = False
    unconnected = model.generate(TARGET[None], max_new_tokens=4, do_sample=False)
    wanted = naive.grid(model, SOURCE, TARGET, "ffn", 4)
    nats = naive.option_log_probabilities(model, SOURCE, TARGET, [], "ffn", [[5, 6, 7]])
    model.connected = True
    assert not torch.equal(connected, unconnected)
    assert torch.equal(transplant_sweep(model, SOURCE, TARGET, max_new_tokens=4), wanted)
    torch.testing.assert_close(answer_log_probabilities(model, TARGET, [[5, 6, 7]]), nats)
    assert model.connected


def test_an_adapter_takes_part():
    adapted = get_peft_model(build("llama"), LoraConfig(target_modules=["down_proj", "q_proj"], r=4))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    tokens = transplant_sweep(adapted, SOURCE, TARGET, max_new_tokens=4)
    merged = adapted.merge_and_unload()
    assert torch.equal(tokens, naive.grid(merged, SOURCE, TARGET, "ffn", 4))
    assert not torch.equal(tokens, transplant_sweep(build("llama"), SOURCE, TARGET, max_new_tokens=4))


def test_an_adapter_before_the_prompt_is_refused():
    adapted = get_peft_model(build("llama"), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    with pytest.raises(ValueError, match="stands before the prompt, where the sweep knows of none"):
        transplant_sweep(adapted, SOURCE, TARGET)
