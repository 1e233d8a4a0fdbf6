"""The architecture table: where each model type keeps what can be connected.

`get_decoder()` of transformers is the same for all; only the names inside of a decoder layer differ. An
output counts as a sub-layer's when it is what the layer adds to the residual stream, so a model that norms it
before adding is read after that norm.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """Dotted paths: `layers` and `final_norm` in the decoder, the other two in one of its layers."""

    layers: str = "layers"
    ffn: str = "mlp"
    attention: str = "self_attn"
    final_norm: str = "norm"  # between the last layer and the LM head
    scales_ffn: bool = False  # the layer multiplies the feed-forward output before adding it


_PRE_NORM = Architecture()
_POST_NORM = Architecture(ffn="post_feedforward_layernorm", attention="post_attention_layernorm")

ARCHITECTURES: dict[str, Architecture] = {
    **dict.fromkeys(
        (
            "cohere",
            "cohere2",
            "deepseek_v3",
            "gemma",
            "glm",
            "llama",
            "mistral",
            "mixtral",
            "olmo",
            "olmoe",
            "phi3",
            "qwen2",
            "qwen2_moe",
            "qwen3",
            "qwen3_moe",
            "smollm3",
            "stablelm",
            "starcoder2",
        ),
        _PRE_NORM,
    ),
    **dict.fromkeys(("gemma2", "gemma3_text", "olmo2"), _POST_NORM),
    "bloom": Architecture(
        layers="h", ffn="mlp.dense_4h_to_h", attention="self_attention.dense", final_norm="ln_f"
    ),
    "falcon": Architecture(layers="h", attention="self_attention", final_norm="ln_f"),
    "glm4": Architecture(ffn="post_mlp_layernorm", attention="post_self_attn_layernorm"),
    "gpt2": Architecture(layers="h", attention="attn", final_norm="ln_f"),
    "gpt_neox": Architecture(attention="attention", final_norm="final_layer_norm"),
    "gptj": Architecture(layers="h", attention="attn", final_norm="ln_f"),
    "granite": Architecture(scales_ffn=True),
    "phi": Architecture(final_norm="final_layernorm"),
}


def architecture_of(model_type: str) -> Architecture:
    """The line of the table for `model_type`. Raises `ValueError` where there is none."""
    if model_type not in ARCHITECTURES:
        raise ValueError(
            f"model type {model_type!r} is not in the architecture table. If its decoder layers add their "
            f"feed-forward output to the residual stream, one line in ARCHITECTURES of {__name__} "
            f"is enough (docs/architectures.md says how). Known: {', '.join(sorted(ARCHITECTURES))}"
        )
    return ARCHITECTURES[model_type]
