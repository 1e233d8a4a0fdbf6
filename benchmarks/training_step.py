"""A training step with the connection, over the same trainer's step without it.

python -m benchmarks.training_step [--hidden 512 --layers 8 --rows 4 --tokens 256 --repeats 15]

In theory 1 + P_en / (k (P + R)): the English pass is one forward over P_en tokens, the rest of the step k = 3
forwards over prompt and response (P + R), or k = 4 where activations are recomputed.
"""

import argparse
import tempfile
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig

from benchmarks.interleaved import as_row, compare, parser_of, ratio_columns, report
from benchmarks.llama import VOCABULARY, llama_config
from cctuning import CCTuningModel, CCTuningTrainer
from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import Example
from cctuning.data.rows import Row
from cctuning.reporting.tables import Columns

SHARES = {"1:1": 1 / 2, "1:2": 1 / 3, "2:1": 2 / 3}  # of prompt tokens in prompt and response


def no_words() -> PreTrainedTokenizerFast:
    """A tokenizer for the trainer to hold; the examples come as ids."""
    words = {"<pad>": 0, "</s>": 1, "<s>": 2}
    backend = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    )


def rows(count: int, tokens: int, share: float) -> list[Example]:
    """Examples of random ids: `share` of their tokens are the prompt, and the English prompt is as long."""
    generator = torch.Generator().manual_seed(0)

    def ids(length: int) -> list[int]:
        return torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()

    prompt = round(tokens * share)
    row = Row("", "", "", "", "und", None, "", 0)
    return [Example(row, ids(tokens), prompt, ids(prompt), truncated=0) for _ in range(count)]


def step_of(
    options: argparse.Namespace, examples: list[Example], *, connected: bool, checkpointing: bool
) -> Any:
    """A function that does one training step: forward, backward and optimizer."""
    torch.manual_seed(0)
    config = llama_config(options.hidden, options.layers)
    model: Any = LlamaForCausalLM(config)
    model = CCTuningModel.wrap(model) if connected else model
    on_cpu = not torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=len(examples),
        use_cpu=on_cpu,
        bf16=not on_cpu,
        activation_checkpointing=checkpointing,
        report_to=[],
        disable_tqdm=True,
        max_steps=1,
    )
    collator = ParallelCollator(pad_token_id=0, english=connected, english_buckets=1)
    trainer = CCTuningTrainer(
        model, arguments, train_dataset=examples, processing_class=no_words(), data_collator=collator
    )
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1  # set by train(), which would not stop between steps
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()

    rows = list(trainer.train_dataset)

    def step() -> None:
        trainer.training_step(model, collator(rows))
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def main() -> None:
    """Measures all settings, prints a table and writes the JSON report."""
    options = parser_of(__doc__, hidden=512, layers=8, rows=4, tokens=256, repeats=15).parse_args()
    results = []
    for shape, share in SHARES.items():
        examples = rows(options.rows, options.tokens, share)
        for checkpointing in (False, True):
            plain, connected = (
                step_of(options, examples, connected=flag, checkpointing=checkpointing)
                for flag in (False, True)
            )
            measured = compare(plain, connected, repeats=options.repeats)
            theory = 1 + share / (4 if checkpointing else 3)
            results.append(as_row(measured, shape=shape, checkpointing=checkpointing, theory=theory))
    columns: Columns = {
        "P:R": "shape",
        "checkpointing": lambda row: "on" if row["checkpointing"] else "off",
        **ratio_columns("without", "with"),
        "theory": lambda row: f"{row['theory']:.3f}",
    }
    report("training_step", columns, results, "training step")


if __name__ == "__main__":
    main()
