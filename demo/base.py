"""The demo's base model: a tiny Llama, trained from scratch on what a multilingual model brings along.

It learns the facts in English, the words of all languages, and how to put questions into English. It never
sees an answer to a question that is asked in another language.

    python -m demo.base outputs/demo/seed0/base --seed 0
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    get_cosine_schedule_with_warmup,
    set_seed,
)

from cctuning.data.prompts import PromptFormat
from cctuning.generation.rules import prepare_to_save
from demo.tokenizer import build_tokenizer
from demo.world import Row, World, make_world

STEPS = 900
# Rows per step of each kind. Kinds have their own batches, since questions are four times as long as words.
FACTS, WORDS, QUESTIONS = 40, 48, 20
LEARNING_RATE = 4e-3
MODEL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
}

Example = tuple[list[int], int]  # token ids of prompt and response, and how many are the prompt's


def main() -> None:
    """Trains one base model and writes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    options.output_dir.mkdir(parents=True, exist_ok=True)
    world = make_world()
    tokenizer = tokenizer_of(world)
    set_seed(options.seed)
    model = new_model(tokenizer)
    with (options.output_dir / "metrics.jsonl").open("w") as metrics:
        for step, loss in enumerate(
            train(model, tokenizer, world, steps=options.steps, seed=options.seed), 1
        ):
            if step % 10 == 0:
                metrics.write(json.dumps({"step": step, "loss": loss}) + "\n")
                metrics.flush()
    tokenizer.save_pretrained(options.output_dir)
    model.save_pretrained(options.output_dir)


def tokenizer_of(world: World) -> PreTrainedTokenizerFast:
    """The tokenizer that knows every word of the world."""
    return build_tokenizer(text for row in world.rows() for text in (row["instruction"], row["output"]))


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model, from torch's global generator."""
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **MODEL,
        )
    )
    prepare_to_save(model.generation_config, PromptFormat(tokenizer))
    return model


def train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, *, steps: int, seed: int
) -> Iterator[float]:
    """Trains `model` in place and yields each step's loss: the sum over the three kinds."""
    prompts = PromptFormat(tokenizer)
    kinds = [
        (encode(rows, prompts), size)
        for rows, size in ((world.facts, FACTS), (world.vocabulary, WORDS), (world.questions, QUESTIONS))
    ]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.1, fused=True
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, steps // 20, steps)
    rng = random.Random(seed)
    model.train()
    for _ in range(steps):
        total = 0.0
        for examples, size in kinds:
            input_ids, labels = batch(rng.choices(examples, k=size), prompts.pad_token_id)
            # Padded on the right, causal attention needs no mask.
            loss = model(input_ids=input_ids, labels=labels).loss
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        yield total


def encode(rows: Sequence[Row], prompts: PromptFormat) -> list[Example]:
    """Rows as token ids."""
    asked = prompts.prompts_ids([row["instruction"] for row in rows])
    answered = prompts.responses_ids([row["output"] for row in rows])
    return [(prompt + response, len(prompt)) for prompt, response in zip(asked, answered, strict=True)]


def batch(examples: Sequence[Example], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and labels (B, T), padded on the right; the label of what is no response is -100."""
    length = max(len(ids) for ids, _ in examples)
    input_ids = torch.full((len(examples), length), pad_token_id)
    labels = torch.full((len(examples), length), -100)
    for place, (ids, prompt_length) in enumerate(examples):
        input_ids[place, : len(ids)] = torch.tensor(ids)
        labels[place, prompt_length : len(ids)] = torch.tensor(ids[prompt_length:])
    return input_ids, labels


if __name__ == "__main__":
    main()
