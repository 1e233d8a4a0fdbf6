"""A tokenizer, rows and a model small enough to train in a test."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cctuning.data.prompts import choose_template
from cctuning.data.rows import Row

SENTENCES = {
    "sw": ("Mji mkuu wa Kenya ni upi?", "Nairobi.", "Capital of Kenya?"),
    "ru": ("Какая столица Франции?", "Париж.", "Capital of France?"),
    "th": ("เมืองหลวงของญี่ปุ่นคือ?", "โตเกียว", "Capital of Japan?"),
    "en": ("Capital of Peru?", "Lima.", "Capital of Peru?"),
}
SPECIAL = [
    "<s>",
    "</s>",
    "<pad>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]


def tiny_tokenizer(template: str = "plain") -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that begins texts with BOS, with the special tokens of every template."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([text for texts in SENTENCES.values() for text in texts], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", SPECIAL.index("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", padding_side="left"
    )
    choose_template(tokenizer, template)
    return tokenizer


def with_template(template: str | dict[str, str]) -> PreTrainedTokenizerFast:
    """The tiny tokenizer with a chat template of its own."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def tiny_rows(count: int = 8) -> list[Row]:
    """Parallel rows in four languages, numbered from 1."""
    rows = []
    for number in range(1, count + 1):
        language = list(SENTENCES)[number % len(SENTENCES)]
        instruction, output, english = SENTENCES[language]
        extra = f" {'x' * (number // len(SENTENCES))}".rstrip()
        rows.append(
            Row(
                str(number),
                instruction + extra,
                english + extra,
                output,
                language,
                None,
                "tiny.jsonl",
                number,
            )
        )
    return rows


def tiny_llama(vocab_size: int, *, seed: int = 0, layers: int = 3, **config: object) -> LlamaForCausalLM:
    """A Llama of hidden size 32 with random weights."""
    torch.manual_seed(seed)
    settings: dict[str, object] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocab_size, **(settings | config)))
