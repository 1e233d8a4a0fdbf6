import pytest
from transformers import GPTNeoXConfig, LlamaConfig, Qwen2Config

from cctuning.memory import estimate_memory
from tests.tiny import tiny_llama

CONFIG = tiny_llama(100).config
SETTINGS = {"dtype": "float32", "rows": 2, "tokens": 64, "english_tokens": 32}


def test_weights_are_exact_and_follow_the_dtype():
    count = sum(weight.numel() for weight in tiny_llama(100).parameters())
    estimate = estimate_memory(CONFIG, **SETTINGS)
    assert estimate.weights == 4 * count
    assert estimate.gradients == 4 * count
    assert estimate.optimizer == 8 * count  # Adam's two moments in float32
    assert estimate_memory(CONFIG, **(SETTINGS | {"dtype": "bfloat16"})).weights == 2 * count


def test_an_8b_llama_needs_no_memory_to_be_counted():
    config = LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8,
    )  # fmt: skip
    estimate = estimate_memory(config, **SETTINGS)
    assert estimate.weights == 4 * 8_030_261_248
    assert 120e9 < estimate.total < 140e9  # 16 bytes per weight


@pytest.mark.parametrize(
    "config", [GPTNeoXConfig(), Qwen2Config(tie_word_embeddings=True)], ids=["neox", "tied"]
)
def test_other_architectures_and_tied_embeddings_are_counted_once(config):
    small = {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    for name, value in (small | {"num_key_value_heads": 2}).items():
        setattr(config, name, value)
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("cpu"):
        model = AutoModelForCausalLM.from_config(config)
    assert estimate_memory(config, **SETTINGS).weights == 4 * sum(
        weight.numel() for weight in model.parameters()
    )


@pytest.mark.parametrize("setting", ["rows", "tokens", "english_tokens"])
def test_more_to_read_takes_more_memory(setting):
    totals = [estimate_memory(CONFIG, **(SETTINGS | {setting: value})).total for value in (32, 64, 128, 256)]
    assert totals == sorted(totals) and len(set(totals)) == 4


def test_checkpointing_bf16_lora_and_no_connection_each_take_less():
    plain = estimate_memory(CONFIG, **SETTINGS, checkpointing=False, bf16=False)
    assert estimate_memory(CONFIG, **SETTINGS, checkpointing=True, bf16=False).activations < plain.activations
    assert estimate_memory(CONFIG, **SETTINGS, checkpointing=False, bf16=True).activations < plain.activations
    lora = estimate_memory(CONFIG, **SETTINGS, checkpointing=False, bf16=False, trained_share=0.01)
    assert lora.gradients + lora.optimizer < 0.02 * (plain.gradients + plain.optimizer)
    assert estimate_memory(CONFIG, **SETTINGS, connected=False).connection == 0


def test_the_total_is_the_sum_of_the_parts():
    estimate = estimate_memory(CONFIG, **SETTINGS)
    parts = ("weights", "gradients", "optimizer", "activations", "connection")
    assert estimate.total == sum(getattr(estimate, part) for part in parts)
