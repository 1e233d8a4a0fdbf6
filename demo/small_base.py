"""A small language model, trained from scratch on the texts of training rows: a base for trying things out.

    python -m demo.small_base data/aya_parallel.jsonl --output outputs/small/base

It learns to write like its rows and knows next to nothing: recipes, data and studies can be run through with
it on a CPU, where a real model would take a GPU and days. Rows are read as cctuning train reads them.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    get_cosine_schedule_with_warmup,
    set_seed,
)

from cctuning.commands.run import run
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.rows import Row, read_rows
from cctuning.generation.rules import prepare_to_save
from cctuning.tools.progress import progress_bar

BLOCK, BATCH = 256, 16  # tokens of a training example, examples of a step
LEARNING_RATE = 1e-3
_SPECIAL = ("<s>", "</s>", "<pad>")


def main() -> None:
    """Trains one base model and writes it."""
    options = _parser().parse_args()
    set_seed(options.seed)
    rows, _ = read_rows(options.data, on_bad_row="skip")
    tokenizer = train_tokenizer(rows, options.vocabulary)
    prompts = PromptFormat(tokenizer)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.hidden,
            intermediate_size=3 * options.hidden,
            num_hidden_layers=options.layers,
            num_attention_heads=options.hidden // 32,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    prepare_to_save(model.generation_config, prompts)
    with progress_bar("training", options.steps) as bar:
        for step, loss in enumerate(train(model, blocks(rows, prompts), options.steps), 1):
            bar.update(step, description=f"training, loss {loss:.3f}")
    model.save_pretrained(options.output)
    tokenizer.save_pretrained(options.output)
    print(f"{model.num_parameters():,} parameters, {len(rows):,} rows, loss {loss:.3f} -> {options.output}")


def train_tokenizer(rows: Sequence[Row], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the rows' texts, with the template `plain`."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (text for row in rows for text in (row.instruction, row.instruction_en, row.output))
    backend.train_from_iterator(texts, trainer)
    bos, eos, pad = _SPECIAL
    backend.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=eos, pad_token=pad, padding_side="left"
    )
    choose_template(tokenizer, "plain")
    return tokenizer


def blocks(rows: Sequence[Row], prompts: PromptFormat) -> Tensor:
    """The rows, asked in both languages, as one stream of tokens in pieces: (n, BLOCK), shuffled.

    Raises `ValueError` for too few rows to fill one.
    """
    pairs = [(row.instruction, row.output) for row in rows]
    pairs += [(row.instruction_en, row.output_en) for row in rows if row.output_en]
    order = torch.randperm(len(pairs)).tolist()
    asked = prompts.prompts_ids([pairs[number][0] for number in order])
    answered = prompts.responses_ids([pairs[number][1] for number in order])
    stream = [token for pair in zip(asked, answered, strict=True) for ids in pair for token in ids]
    count = len(stream) // BLOCK
    if not count:
        raise ValueError(f"{len(rows)} rows hold {len(stream)} tokens, and {BLOCK} are needed at least")
    return torch.tensor(stream[: count * BLOCK]).view(count, BLOCK)


def train(model: LlamaForCausalLM, examples: Tensor, steps: int) -> Iterator[float]:
    """Trains `model` in place on all tokens of `examples` (n, T), over and over; yields the loss."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, max(steps // 20, 1), steps)
    model.train()
    for step in range(steps):
        places = torch.arange(step * BATCH, (step + 1) * BATCH) % len(examples)
        loss = model(input_ids=examples[places], labels=examples[places]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        yield float(loss.detach())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", nargs="+", help="JSONL, JSON or Parquet files, folders, globs, hub data sets")
    add("--output", type=Path, required=True, help="the model's folder")
    sizes = {"hidden": 192, "layers": 6, "vocabulary": 8192, "steps": 400, "seed": 0}
    for name, default in sizes.items():
        add(f"--{name}", type=int, default=default, help=f"default: {default}")
    return parser


if __name__ == "__main__":
    run(main)
