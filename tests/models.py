"""Small models with random weights, one per architecture, and a tokenizer of 64 words to go with them.

The weights are larger than the usual initialisation, so that greedy tokens vary from step to step and from
prompt to prompt, and a vector added at one token changes what comes after it (test_naive.py checks that).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

VOCABULARY = 64
PAD, BOS, EOS, USER, ASSISTANT = range(5)  # ids of the special tokens; words follow
FIRST_WORD = 5

_MOE = {"moe_intermediate_size": 16, "num_experts_per_tok": 2}
_GPT = {"n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 256}


@dataclass(frozen=True)
class Architecture:
    """A model type of transformers and how its configuration differs from `_COMMON`."""

    model_type: str
    changes: dict[str, Any] = field(default_factory=dict)


_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "tie_word_embeddings": False,
    "attention_dropout": 0.0,
}

_LOCAL_GLOBAL = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
_GEMMA = {"head_dim": 8, "hidden_activation": "gelu_pytorch_tanh"}
_GEMMA_LOCAL = _GEMMA | {"num_hidden_layers": 4, "sliding_window": 4, "query_pre_attn_scalar": 8}

ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture("llama"),
    "qwen2": Architecture("qwen2"),
    "qwen3": Architecture("qwen3", {"head_dim": 8}),
    "mistral": Architecture("mistral", {"sliding_window": None, "head_dim": 8}),
    "mistral_window": Architecture("mistral", {"sliding_window": 4, "head_dim": 8}),
    "gemma": Architecture("gemma", _GEMMA),
    "gemma2": Architecture("gemma2", _GEMMA_LOCAL | {"layer_types": _LOCAL_GLOBAL}),
    "gemma3": Architecture("gemma3_text", _GEMMA_LOCAL | {"layer_types": _LOCAL_GLOBAL}),
    "phi": Architecture("phi", {"resid_pdrop": 0.0, "embd_pdrop": 0.0}),
    "phi3": Architecture("phi3", {"resid_pdrop": 0.0, "embd_pdrop": 0.0}),
    "granite": Architecture(
        "granite", {"residual_multiplier": 0.4, "embedding_multiplier": 2.0, "logits_scaling": 0.5}
    ),
    "olmo": Architecture("olmo"),
    "olmo2": Architecture("olmo2"),
    "cohere": Architecture("cohere", {"logit_scale": 1.0}),
    "stablelm": Architecture("stablelm", {"hidden_dropout": 0.0}),
    "starcoder2": Architecture("starcoder2", {"residual_dropout": 0.0, "embedding_dropout": 0.0}),
    "glm": Architecture("glm", {"head_dim": 8}),
    "glm4": Architecture("glm4", {"head_dim": 8}),
    "smollm3": Architecture("smollm3"),
    "gpt_neox": Architecture("gpt_neox", {"use_parallel_residual": True, "hidden_dropout": 0.0}),
    "gpt_neox_serial": Architecture("gpt_neox", {"use_parallel_residual": False, "hidden_dropout": 0.0}),
    "mixtral": Architecture("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2_moe": Architecture(
        "qwen2_moe", _MOE | {"num_experts": 4, "shared_expert_intermediate_size": 16, "mlp_only_layers": [1]}
    ),
    "qwen3_moe": Architecture("qwen3_moe", _MOE | {"num_experts": 4, "head_dim": 8}),
    "olmoe": Architecture("olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
    "deepseek_v3": Architecture(
        "deepseek_v3",
        _MOE
        | {
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "num_key_value_heads": 4,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
        },
    ),
    "gpt2": Architecture("gpt2", _GPT | {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
    "gptj": Architecture(
        "gptj", _GPT | {"rotary_dim": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    ),
    "bloom": Architecture("bloom", {"n_head": 4, "n_layer": 3}),
    "falcon": Architecture("falcon", {"multi_query": True, "parallel_attn": True, "bias": False}),
    "falcon_serial": Architecture("falcon", {"parallel_attn": False, "alibi": True, "bias": True}),
}


def build(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float64, **changes: Any) -> PreTrainedModel:
    """The causal LM of `ARCHITECTURES[name]` in eval mode; `changes` overrides configuration values."""
    architecture = ARCHITECTURES[name]
    config = AutoConfig.for_model(
        architecture.model_type, **without_aliases(_COMMON | architecture.changes | changes)
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # The grouped matrix product of mixtures of experts has no float64.
        model = AutoModelForCausalLM.from_config(config, experts_implementation="eager")
        randomise(model)
    # Generation ends where a test says so, not where a random model happens to prefer EOS.
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = PAD
    return model.to(dtype).eval()


def without_aliases(values: dict[str, Any]) -> dict[str, Any]:
    """GPT-2's family names sizes `n_*`; the common names would only be a second way to set them."""
    if "n_layer" not in values:
        return values
    aliases = {"num_hidden_layers", "num_attention_heads", "max_position_embeddings", "num_key_value_heads"}
    if "n_embd" in values:
        aliases |= {"hidden_size", "intermediate_size"}
    return {key: value for key, value in values.items() if key not in aliases}


@torch.no_grad()
def randomise(model: PreTrainedModel) -> None:
    """Matrices: standard deviation 2 / sqrt(fan in). Embeddings: 1, as layer 0 sees them. Vectors: + 0.2."""
    embedding = model.get_input_embeddings()
    scaled = hasattr(embedding, "embed_scale")  # Gemma's: multiplies by sqrt(d) on the way in
    for parameter in model.parameters():
        if parameter is embedding.weight:
            parameter.normal_(std=1 / math.sqrt(model.config.hidden_size) if scaled else 1.0)
        elif parameter.dim() >= 2:
            parameter.normal_(std=2 / math.sqrt(parameter.shape[-1]))
        else:
            parameter.add_(torch.randn_like(parameter), alpha=0.2)


def word_tokenizer() -> PreTrainedTokenizerFast:
    """`w5 w6 ...` are the words; a chat turn is `<s> <user> words </s> <assistant>`."""
    specials = {"<pad>": PAD, "<s>": BOS, "</s>": EOS, "<user>": USER, "<assistant>": ASSISTANT}
    words = {f"w{number}": number for number in range(FIRST_WORD, VOCABULARY)}
    core = Tokenizer(models.WordLevel(specials | words, unk_token="w5"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<user>", "<assistant>"],
        padding_side="left",
    )
    tokenizer.chat_template = (
        "<s> {% for message in messages %}"
        "{% if message['role'] == 'assistant' %}<assistant> {{ message['content'] }} </s> "
        "{% else %}<user> {{ message['content'] }} </s> {% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}"
    )
    return tokenizer


def random_ids(length: int, *, seed: int) -> torch.Tensor:
    """(length,) word ids, none of them special."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(FIRST_WORD, VOCABULARY, (length,), generator=generator)


def pad(sequences: list[torch.Tensor], side: str, *, fill: int = PAD) -> tuple[torch.Tensor, torch.Tensor]:
    """1-D tensors as one batch (B, T) with `fill` on the left or right, and its attention mask (B, T)."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), fill)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        place = slice(0, len(sequence)) if side == "right" else slice(width - len(sequence), width)
        ids[row, place] = sequence
        mask[row, place] = 1
    return ids, mask
