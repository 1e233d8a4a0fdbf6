"""The gradients and the log of training steps in float64, in this process or on several; see test_loss.py.

`python -m tests.training.loss_steps FOLDER`, launched on two processes, writes what they did with
`TWO_PROCESSES`.
"""

import contextlib
import dataclasses
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
import trl.kernels.chunked_logprob
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor
from transformers import TrainerCallback
from trl import SFTConfig

from cctuning import CCTuningModel, CCTuningTrainer, ConnectionConfig
from cctuning.data.encoding import Example, encode
from cctuning.data.prompts import PromptFormat
from cctuning.training.checkpointing import checkpointing_arguments
from tests.float64 import float64
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
LENGTHS = (1, 9, 2, 5, 20, 1, 12, 3, 16, 2, 7, 4)  # words of the responses: very unequal
SILENT = (1, 4, 5)  # rows without a response, for an alignment alone
KINDS = [
    f"{model}, {weights}" for model in ("sft", "mean", "soft", "aligned") for weights in ("full", "lora")
]


class Split(NamedTuple):
    """How an epoch of `rows` rows is trained on: rows of a batch, batches of a step."""

    batch: int
    accumulation: int
    rows: int = 8
    drop_last: bool = False


EVEN = [Split(4, 1), Split(1, 4)]
ODD = [
    Split(2, 2, rows=12),  # the last step is smaller
    Split(2, 1, rows=9),  # the second process's last batch is all repeats
    Split(2, 2, rows=7),  # its last row is one
    Split(4, 1, rows=3),  # fewer rows than the processes take at once
    Split(2, 1, rows=7, drop_last=True),
]
# All ways to split are tried on two kinds that differ in all, one on the others, and with an alignment those
# of one step, over which its mean is; what a row is told from is in its pass.
THOROUGH = ("sft, full", "soft, lora")


def splits_of(kind: str, first: Split, even: list[Split], odd: list[Split]) -> list[Split]:
    """The splits that a kind is tried with."""
    if kind in THOROUGH:
        return [first, *even, *odd]
    return [first, *even] if kind == "aligned, full" else [first]


# Each model and each kind of weights once.
TWO_PROCESSES = {
    kind: splits_of(kind, Split(2, 2), EVEN, ODD) for kind in (*THOROUGH, "mean, lora", "aligned, full")
}


class Steps(NamedTuple):
    """What an epoch's steps did."""

    gradients: list[dict[str, Tensor]]
    log: list[dict[str, float]]
    evaluation: dict[str, float]
    passes: list[list[int]]  # the rows that all processes read, by number


def examples(kind: str) -> list[Example]:
    """Rows in four languages, a quarter of them in English with x_en = x."""
    silent = SILENT if kind.startswith("aligned") else ()
    rows = [
        dataclasses.replace(row, output="" if number in silent else " ".join(["Nairobi"] * LENGTHS[number]))
        for number, row in enumerate(tiny_rows(len(LENGTHS)))
    ]
    return encode(rows, PromptFormat(TOKENIZER), cutoff_len=400, english_cutoff_len=400)[0]


def model_of(kind: str) -> Any:
    """A Llama in float64, as it is or connected: with the mean, a soft mixture of the Decision Maker, or the
    mean and an alignment.
    """
    model = tiny_llama(len(TOKENIZER), layers=2).double()
    torch.manual_seed(5)
    if kind.startswith("mean"):
        return CCTuningModel.wrap(model, ConnectionConfig(pooling="mean"))
    if kind.startswith("aligned"):
        settings = ConnectionConfig(pooling="mean", centred=True, alignment=0.5)
        connected = CCTuningModel.wrap(model, settings)
        connected.output_statistics.mean.normal_()
        connected.output_statistics.scale.fill_(1)
        return connected
    if kind.startswith("soft"):
        connected = CCTuningModel.wrap(model, ConnectionConfig(hard=False)).double()
        torch.nn.init.normal_(connected.decision_maker.weight)
        return connected
    return model


def adapter_of(kind: str) -> LoraConfig | None:
    """An adapter that changes what the model computes: by default one starts as zero."""
    return LoraConfig(target_modules="all-linear", r=2, init_lora_weights=False) if "lora" in kind else None


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """Float64 all through, TRL's fused LM head included, and a Gumbel-softmax without noise."""

    class Torch64:
        float32 = torch.float64

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    def softmax(logits: Tensor, tau: float, hard: bool) -> Tensor:
        return (logits / tau).softmax(-1)

    with (
        float64(),
        mock.patch.object(trl.kernels.chunked_logprob, "torch", Torch64()),
        mock.patch.object(torch.nn.functional, "gumbel_softmax", softmax),
    ):
        yield


class Gradients(TrainerCallback):
    """Keeps each step's gradients as they are when the optimizer takes them."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        weights = kwargs["model"].named_parameters()
        self.steps.append({name: weight.grad.clone() for name, weight in weights if weight.requires_grad})


def trainer_of(
    kind: str, split: Split, folder: str, callbacks: Sequence[TrainerCallback] = ()
) -> CCTuningTrainer:
    """For one epoch at a learning rate of 0; the weights depend on `kind` alone."""
    rows = examples(kind)[: split.rows]
    args = SFTConfig(
        output_dir=folder,
        per_device_train_batch_size=split.batch,
        per_device_eval_batch_size=split.batch,
        gradient_accumulation_steps=split.accumulation,
        dataloader_drop_last=split.drop_last,
        num_train_epochs=1,
        learning_rate=0.0,
        max_grad_norm=0.0,
        bf16=False,
        use_cpu=True,
        **checkpointing_arguments(True),
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=3,
    )
    model, adapter = model_of(kind).eval(), adapter_of(kind)  # in the mode that models are loaded in
    torch.manual_seed(11)
    return CCTuningTrainer(
        model,
        args,
        train_dataset=rows,
        eval_dataset=[row for row in rows[: evaluated(split)] if row.has_response],
        processing_class=TOKENIZER,
        peft_config=adapter,
        callbacks=callbacks,
    )


def evaluated(split: Split) -> int:
    """How many rows the evaluation has: others than the training."""
    return max(split.rows - 2, 1)


def train(kind: str, split: Split) -> Steps:
    """One epoch, where its rows divide unevenly an evaluation, and of seven rows the same epoch after it."""
    with tempfile.TemporaryDirectory() as folder, exact():
        gradients, seen = Gradients(), []
        trainer = trainer_of(kind, split, folder, [gradients])
        collate = trainer.data_collator

        def noting(batch: Any) -> Any:
            seen.append([row["example"] for row in batch])
            return collate(batch)

        trainer.data_collator = noting
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
            steps, trained_on = list(gradients.steps), list(seen)
            log = [line for line in trainer.state.log_history if "loss" in line]
            evaluation = {}
            if split.rows != 8:
                evaluation = trainer.evaluate()
            if split.rows == 7:
                trainer.train()
                torch.testing.assert_close(gradients.steps, steps * 2)
        return Steps(steps, log, evaluation, of_all_processes(trained_on))


def of_all_processes(passes: list[list[int]]) -> list[list[int]]:
    """The passes of every process, those of this one first where it is the first."""
    if not torch.distributed.is_initialized():
        return passes
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, passes)
    return [rows for own in gathered for rows in own]


def main(folder: Path) -> None:
    """The first process writes what it sees: a JSON file for every split, and the gradients of each step."""
    for kind, splits in TWO_PROCESSES.items():
        for number, split in enumerate(splits):
            steps = train(kind, split)
            if torch.distributed.get_world_size() == 2 and torch.distributed.get_rank() == 0:
                rest = steps._asdict() | {"gradients": len(steps.gradients)}
                (folder / f"{kind}-{number}.json").write_text(json.dumps(rest))
                for step, gradients in enumerate(steps.gradients):
                    save_file(gradients, folder / f"{kind}-{number}-{step}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
