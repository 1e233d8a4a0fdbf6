"""Small random translation models with tokenizers that know a few words and all letters of four scripts."""

import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    M2M100Config,
    M2M100ForConditionalGeneration,
    NllbTokenizer,
    T5Config,
    T5ForConditionalGeneration,
)

TEXTS = [
    "Mji mkuu wa Kenya ni upi?",
    "Watoto wanacheza mpira uwanjani kila siku.",
    "Какая столица Франции? Я не знаю.",
    "你好吗？我很好。",
    "The quick brown fox jumps over the lazy dog, again and again.",
    "0123456789 ()!?.,;:-<>/_ABCDEFGHIJKLMNOPQRSTUVWXYZ",
]
MADLAD_CODES = ["<2en>", "<2sw>", "<2zh>", "<2ru>"]


def nllb_tokenizer() -> NllbTokenizer:
    """NLLB's tokenizer over byte pairs of `TEXTS`."""
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    model = json.loads(backend.to_str())["model"]
    return NllbTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])


def write_nllb(folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A model of NLLB's architecture with its tokenizer."""
    tokenizer = nllb_tokenizer()
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 128,
        "init_std": 0.3,
        "tie_word_embeddings": False,  # tied, it would repeat each token
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }
    model = M2M100ForConditionalGeneration(M2M100Config(**(settings | config))).eval()
    with torch.no_grad():
        model.lm_head.weight[2] *= 8  # the end token's: outputs end sooner or later
    model.save_pretrained(folder)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    return folder


def write_madlad(folder: Path, *, seed: int = 0) -> Path:
    """A model of MADLAD's architecture with a SentencePiece tokenizer."""
    folder.mkdir(parents=True)
    text = folder.with_suffix(".txt")
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "spiece"),
        vocab_size=160,
        character_coverage=1.0,
        pad_id=1,
        eos_id=2,
        unk_id=0,
        bos_id=-1,
        user_defined_symbols=MADLAD_CODES,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer", "extra_ids": 0}')
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for weight in model.parameters():  # T5 starts almost silent
            weight.normal_(std=0.3) if weight.dim() > 1 else weight
        model.lm_head.weight[tokenizer.eos_token_id] *= 2
    model.save_pretrained(folder)
    return folder
