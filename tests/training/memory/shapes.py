"""Small models of different proportions, and a real training run of each beside its estimate."""

import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM
from trl import SFTConfig

from cctuning import CCTuningModel, CCTuningTrainer, ConnectionConfig
from cctuning.data.encoding import Example
from cctuning.data.rows import Row
from cctuning.pretrained.four_bits import load_four_bits
from cctuning.training.checkpointing import checkpointing_arguments
from cctuning.training.memory import Step
from tests.tiny import tiny_tokenizer
from tests.training.memory.measured import STEPS, Settled

TOKENIZER = tiny_tokenizer()


@dataclass(frozen=True)
class Shape:
    """A model, and the rows that it is trained on."""

    model_type: str
    config: dict[str, Any]
    rows: int = 2
    tokens: int = 128  # of the longest row
    prompt: int = 64
    english: int = 48
    changes: dict[str, Any] = field(default_factory=dict)


def _shape(model_type: str, hidden: int, inner: int, layers: int, vocabulary: int, **rest: Any) -> Shape:
    shape = {name: rest.pop(name) for name in ("rows", "tokens", "prompt", "english") if name in rest}
    config = {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "vocab_size": vocabulary,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": hidden // 8,
        "max_position_embeddings": 2048,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }
    return Shape(model_type, config | rest, **shape)


SHAPES = {
    "tiny": _shape("llama", 32, 64, 3, 100, tokens=32, prompt=16, english=16),
    "wide": _shape("llama", 512, 1408, 3, 1000),
    "deep": _shape("llama", 128, 352, 12, 1000),
    "vocabulary": _shape("llama", 128, 352, 4, 40000),
    "long": _shape("llama", 128, 352, 4, 1000, tokens=1024, prompt=512, english=512),
    "tied": _shape("llama", 256, 704, 4, 20000, tie_word_embeddings=True),
    "one row": _shape("llama", 256, 704, 4, 1000, rows=1, tokens=256),
    "qwen2": _shape("qwen2", 256, 704, 6, 8000),
    "mistral": _shape("mistral", 256, 704, 6, 8000, sliding_window=64),
    "gemma2": _shape(
        "gemma2", 256, 704, 6, 8000, sliding_window=64, query_pre_attn_scalar=32,
        attn_implementation="eager",
    ),
}  # fmt: skip


# What reads a row's own prompt a second time: with its gradient, and without.
CONNECTIONS = {
    "aligned": ConnectionConfig(centred=True, alignment=0.5),
    "own": ConnectionConfig(monolingual_share=0.5),
}


def step_of(shape: Shape, **changes: Any) -> Step:
    """What the estimate is told of the run of `train`."""
    config = AutoConfig.for_model(shape.model_type, **shape.config)
    settings: dict[str, Any] = {
        "rows": shape.rows,
        "tokens": shape.tokens,
        "response_tokens": shape.tokens - shape.prompt,
        "prompt_tokens": shape.prompt,
        "english_tokens": shape.english,
        "connection": ConnectionConfig(),
        "gpu": False,
        "attention": shape.config.get("attn_implementation"),
    }
    return Step(config, **(settings | changes))


def lora() -> LoraConfig:
    """Adapters on all linear layers."""
    return LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")


def examples_of(shape: Shape, count: int) -> list[Example]:
    """Rows of which every batch holds one of full length, and shorter ones."""
    examples = []
    for number in range(count):
        full = number % shape.rows == 0
        length, prompt = (shape.tokens, shape.prompt) if full else (shape.tokens - 8, shape.prompt - 8)
        english = shape.english if full else shape.english - 8
        row = Row(str(number), "x", "x", "y", "sw", None, "made.jsonl", number + 1)
        examples.append(
            Example(
                row=row,
                input_ids=[5 + (number + place) % 50 for place in range(length)],
                prompt_length=prompt,
                english_input_ids=[5 + (3 * number + place) % 50 for place in range(english)],
                truncated=0,
            )
        )
    return examples


def packed(model: Any, step: Step, folder: Path) -> Any:
    """The same model in four bits."""
    model.save_pretrained(folder)
    settings = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": step.double_quant,
        "bnb_4bit_compute_dtype": "bfloat16" if step.bf16 else step.dtype,
    }
    model = load_four_bits(folder, settings, dtype=step.dtype)
    for weight in model.parameters():
        weight.data = weight.data.clone()  # what lies in a file was not handed out by torch's allocator
    return model


def train(step: Step, shape: Shape, folder: Path, **arguments: Any) -> None:
    """A few steps of a real trainer, as train.py would make it, on one CPU process or on an engine's."""
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(
        step.config, dtype=getattr(torch, step.dtype), attn_implementation=step.attention
    )
    if step.four_bits:
        model = packed(model, step, folder / "base")
    if step.connection is not None:
        model = CCTuningModel.wrap(model, step.connection)
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": step.rows,
        "gradient_accumulation_steps": step.accumulation,
        "max_steps": STEPS,
        "bf16": step.bf16,
        "use_cpu": True,
        "optim": step.optim,
        **checkpointing_arguments(step.checkpointing, reentrant=step.reentrant),
        "logging_steps": 100,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
    }
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = CCTuningTrainer(
            model,
            SFTConfig(**(settings | arguments)),
            train_dataset=examples_of(shape, STEPS * step.rows * step.accumulation * 2),
            processing_class=TOKENIZER,
            peft_config=step.lora,
            callbacks=[Settled()],
        )
        trainer.train()
