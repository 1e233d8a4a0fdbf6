"""The shape of the benchmarks' models: Llama with random weights, of any size."""

from typing import Any

from transformers import LlamaConfig

VOCABULARY = 8000


def llama_config(hidden: int, layers: int, **others: Any) -> LlamaConfig:
    """`layers` layers of width `hidden` with heads of 64."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=int(2.75 * hidden),
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        **others,
    )


def llama_7b_config(hidden: int = 4096, layers: int = 32, **others: Any) -> LlamaConfig:
    """Llama-2-7B's proportions, and with these two numbers its size."""
    return LlamaConfig(
        hidden_size=hidden,
        intermediate_size=hidden * 43 // 16,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 128,
        num_key_value_heads=hidden // 128,
        max_position_embeddings=4096,
        **others,
    )


def llama_8b_config() -> LlamaConfig:
    """Llama-3.1-8B's shape."""
    return LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
