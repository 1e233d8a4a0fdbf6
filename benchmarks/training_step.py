"""A training step with the connection, over the same trainer's step without it.

python -m benchmarks.training_step [--hidden 512 --layers 8 --rows 4 --tokens 256 --repeats 15]
python -m benchmarks.training_step --shape llama-8b --lora 16 --shares 1:1 --checkpointing on

In theory 1 + P_en / (k (P + R)): the English pass is one forward over P_en tokens, the rest of the step k = 3
forwards over prompt and response (P + R), or k = 4 where activations are recomputed.

On a GPU the peak memory of a connected step is measured too, beside the estimate that `cctuning train` shows.
"""

import argparse
import itertools
import tempfile
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig

from benchmarks.interleaved import as_row, compare, parser_of, ratio_columns, report
from benchmarks.llama import VOCABULARY, llama_8b_config, llama_config
from cctuning import CCTuningModel, CCTuningTrainer, ConnectionConfig
from cctuning.connection.adapters import with_connection
from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import Example
from cctuning.data.rows import Row
from cctuning.reporting.tables import Columns
from cctuning.training.checkpointing import checkpointing_arguments, enable_checkpointing
from cctuning.training.memory.estimate import estimate_memory
from cctuning.training.memory.step import Step

CHECKPOINTING = {"off": False, "on": True}
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


def lora_of(options: argparse.Namespace) -> LoraConfig | None:
    """An adapter of this rank on every projection; None where the weights are trained themselves."""
    if not options.lora:
        return None
    return LoraConfig(r=options.lora, target_modules="all-linear", task_type="CAUSAL_LM")


def config_of(options: argparse.Namespace) -> LlamaConfig:
    """The model's shape."""
    return llama_8b_config() if options.shape == "llama-8b" else llama_config(options.hidden, options.layers)


def step_of(
    options: argparse.Namespace, examples: list[Example], *, connected: bool, checkpointing: bool
) -> Any:
    """A function that does one training step: forward, backward and optimizer."""
    torch.manual_seed(0)
    on_gpu = torch.cuda.is_available()
    lora = lora_of(options)
    with torch.device("cuda" if on_gpu else "cpu"):
        model: Any = LlamaForCausalLM(config_of(options))
    if lora and on_gpu:
        model = model.to(torch.bfloat16)  # what LoRA does not train is kept as cctuning train keeps it
    model = CCTuningModel.wrap(model) if connected else model
    if lora:
        model = get_peft_model(model, with_connection(lora, model) if connected else lora)
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=len(examples),
        use_cpu=not on_gpu,
        bf16=on_gpu,
        **checkpointing_arguments(checkpointing),
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
        enable_checkpointing(model)
        if lora:
            model.enable_input_require_grads()
    model.train()

    prepared: Any = trainer.train_dataset
    rows = list(prepared)

    def step() -> None:
        trainer.training_step(model, collator(rows))
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()

    return step


def memory_of(step: Any, options: argparse.Namespace, share: float, checkpointing: bool) -> dict[str, Any]:
    """Bytes at the peak of a connected step, and as estimated; {} without a GPU."""
    if not torch.cuda.is_available():
        return {}
    torch.cuda.reset_peak_memory_stats()
    step()
    prompt = round(options.tokens * share)
    estimated = estimate_memory(
        Step(
            config_of(options),
            rows=options.rows,
            tokens=options.tokens,
            response_tokens=options.tokens - prompt,
            english_tokens=prompt,
            connection=ConnectionConfig(),
            lora=lora_of(options),
            dtype="bfloat16" if options.lora else "float32",
            checkpointing=checkpointing,
        )
    )
    return {"peak_bytes": torch.cuda.max_memory_allocated(), "estimated_bytes": estimated.total}


def main() -> None:
    """Measures all settings, prints a table and writes the JSON report."""
    parser = parser_of(__doc__, hidden=512, layers=8, rows=4, tokens=256, lora=0, repeats=15)
    parser.add_argument("--shape", choices=("small", "llama-8b"), default="small")
    parser.add_argument("--shares", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--checkpointing", nargs="+", choices=CHECKPOINTING, default=list(CHECKPOINTING))
    options = parser.parse_args()
    results = []
    for shape, name in itertools.product(options.shares, options.checkpointing):
        share, checkpointing = SHARES[shape], CHECKPOINTING[name]
        examples = rows(options.rows, options.tokens, share)
        plain, connected = (
            step_of(options, examples, connected=flag, checkpointing=checkpointing) for flag in (False, True)
        )
        measured = compare(plain, connected, repeats=options.repeats)
        del plain  # before memory is measured
        theory = 1 + share / (4 if checkpointing else 3)
        memory = memory_of(connected, options, share, checkpointing)
        settings = {"shape": shape, "checkpointing": checkpointing, "theory": theory, "lora": options.lora}
        results.append(as_row(measured, **settings, **memory))
    columns: Columns = {
        "P:R": "shape",
        "checkpointing": lambda row: "on" if row["checkpointing"] else "off",
        **ratio_columns("without", "with"),
        "theory": lambda row: f"{row['theory']:.3f}",
    }
    peaks: Columns = {
        "peak, GiB": lambda row: f"{row['peak_bytes'] / 2**30:.1f}",
        "estimated, GiB": lambda row: f"{row['estimated_bytes'] / 2**30:.1f}",
    }
    columns = {**columns, **(peaks if torch.cuda.is_available() else {})}
    report("training_step", columns, results, "training step")


if __name__ == "__main__":
    main()
