"""`CCTuningTrainer`: TRL's `SFTTrainer`, fed with parallel prompts."""

import copy
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when TRL's trainer starts

from peft import PeftConfig, PeftModel
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_callback import ProgressCallback
from trl import SFTConfig

from cctuning.connection.adapters import with_connection
from cctuning.connection.connected import connection_of, constants_of, is_connected, is_of_connection
from cctuning.connection.model import CONNECTION_WEIGHTS, load_connection_weights, save_connection
from cctuning.connection.modeling_cctuning import GATE
from cctuning.connection.settings import read_connection
from cctuning.data.collate import ParallelCollator
from cctuning.data.encoding import (
    Example,
    check_labels,
    check_vocabulary,
    encode,
    fingerprint,
    languages_of,
    training_set,
)
from cctuning.data.prompts import PromptFormat, choose_template
from cctuning.data.rows import BadRowsError, rows_from_records
from cctuning.distributed.engines import running_engine
from cctuning.distributed.sharing import Shard
from cctuning.pretrained.four_bits import check_not_quantised, save_quantization
from cctuning.pretrained.kinds import CONNECTION_FILE, connection_folder
from cctuning.training.callbacks import BeforeSteps, NoisePerRank, TrainingBar
from cctuning.training.checkpoints import CheckpointError
from cctuning.training.output_statistics import set_statistics
from cctuning.training.own_transform import fit_own_transform
from cctuning.training.resumable import ResumableTrainer
from cctuning.training.row_repeats import first_repeat, without_repeats
from cctuning.training.statistics import RowSums, RunningStatistics
from cctuning.training.streaming import OTHER_LANGUAGES, StreamedExamples

_COLUMNS = (
    "input_ids", "labels", "prompt_length", "english_input_ids", "language", "example", "aligned", "length"
)  # fmt: skip
_REMEDY = "The last checkpoint is unharmed; lower learning_rate or max_grad_norm"


class NonFiniteLossError(FloatingPointError):
    """The loss or its gradient became NaN or infinite; the message names the step, and a loss's rows."""


class CCTuningTrainer(ResumableTrainer):
    """Trains a wrapped model with its connection, or a plain model as SFTTrainer does (ML-SFT).

    Args:
        model: a `CCTuningModel`, or a plain causal language model for ML-SFT.
        args: `SFTConfig`; packing and padding_free are refused, since the connection needs each prompt's end.
            Of `save_total_limit` checkpoints only complete ones count (see `checkpoints`).
        train_dataset: training rows (`instruction`, `output`, and for a connected model `instruction_en`; see
            `rows.read_rows`) as a `datasets.Dataset` or dictionaries, where `args.max_length` bounds prompt
            and response, and the English prompt, in tokens; with `connection.alignment` rows may lack the
            response; or examples as `encoding.encode` makes them, or `StreamedExamples`, which come in their
            own order.
        eval_dataset: likewise.
        processing_class: the tokenizer, saved with every checkpoint; without a chat template it gets "plain".
        english_buckets: at most so many length buckets for a batch's English prompts; engines that shard the
            weights use one, because each further pass would gather all weights again.
        decision_maker_lr_multiplier: the learning rate of the pooling's parameters over everything else's.
        gate_lr_multiplier: the same of the gate's.
        monolingual_refit_steps: steps between two fits of W_T, for a connection with a `monolingual_share`.
        score: gives scores by name, of the model in eval mode on all processes (`Shard`); asked for in every
            evaluation, and logged with the loss.
    """

    data_collator: Any
    _signature_columns: list[str] | None

    def __init__(
        self,
        model: Any,
        args: SFTConfig,
        *,
        train_dataset: Any,
        processing_class: Any,
        eval_dataset: Any = None,
        english_buckets: int = 2,
        decision_maker_lr_multiplier: float = 1.0,
        gate_lr_multiplier: float = 100.0,
        monolingual_refit_steps: int = 100,
        score: Callable[[Any, Shard], dict[str, float]] | None = None,
        data_collator: Any = None,
        peft_config: PeftConfig | None = None,
        callbacks: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        args = copy.copy(args)  # the caller's stay as they are
        _refuse(args, kwargs)
        in_four_bits = getattr(model, "is_loaded_in_4bit", False)
        if not in_four_bits:
            check_not_quantised(model.config)
        connected = is_connected(model)
        if connected and is_deepspeed_zero3_enabled():
            _give_one_dtype(model)
        if data_collator is None:
            pad_token_id = _pad_token_id(processing_class)
            data_collator = ParallelCollator(
                pad_token_id=pad_token_id, english=connected, english_buckets=english_buckets
            )
        self.decision_maker_lr_multiplier = decision_maker_lr_multiplier
        self.gate_lr_multiplier = gate_lr_multiplier
        self.monolingual_refit_steps = monolingual_refit_steps
        self.score = score
        self._aligned_rows: Tensor | None = None  # of the step
        # Of a stream, its first examples stand for all where some are looked at.
        self.stream = train_dataset if isinstance(train_dataset, StreamedExamples) else None
        if self.stream is not None:
            train_dataset, args.train_sampling_strategy = self.stream.first, "sequential"
        sets = {"train": train_dataset, "eval": eval_dataset}
        without_response = {"train"} if connected and model.connection.alignment > 0 else set()
        self.examples = {
            mode: _examples(
                rows,
                processing_class,
                args.max_length,
                english=connected,
                response=mode not in without_response,
            )
            for mode, rows in sets.items()
            if rows is not None
        }
        languages = self._checked_languages(processing_class, model.config.get_text_config().vocab_size)
        self.statistics = {mode: RunningStatistics(languages) for mode in ("train", "eval")}
        tokenized = {
            f"{mode}_dataset": training_set(examples, languages) for mode, examples in self.examples.items()
        }
        routers = getattr(model.config.get_text_config(), "output_router_logits", None)
        args.max_length = None  # examples are cut when they are made, where it is known what may be cut
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            data_collator=data_collator,
            peft_config=with_connection(peft_config, model),
            callbacks=[*callbacks, NoisePerRank(), BeforeSteps(self._measure_statistics, self._refit)],
            **tokenized,
            **kwargs,
        )
        if in_four_bits:
            _keep_small_steps(self.model)
        if routers is not None:
            # TRL has the configuration ask for router logits, which `compute_loss` does by itself: a saved
            # model would ask for them in `generate`, too, which fails there.
            self.model.config.get_text_config().output_router_logits = routers
        if self.stream is not None:  # which TRL would not take
            self.train_dataset = self.stream
        # For `compute_loss`, which takes the step's label tokens whatever the model does.
        self.model_accepts_loss_kwargs = True
        shared_out = running_engine(self.accelerator).shards_weights
        if shared_out and isinstance(self.data_collator, ParallelCollator):
            self.data_collator = dataclasses.replace(self.data_collator, english_buckets=1)
        if self.pop_callback(ProgressCallback):
            self.add_callback(TrainingBar())

    def _checked_languages(self, tokenizer: Any, vocab_size: int) -> list[str]:
        """The languages of all examples, whose tokens the model has to know."""
        every = [example for examples in self.examples.values() for example in examples]
        check_vocabulary(every, tokenizer, pad_token_id=_pad_token_id(tokenizer), vocab_size=vocab_size)
        languages = languages_of(every)
        if self.stream is not None:
            languages = self.stream.languages = [*languages, OTHER_LANGUAGES]
        return languages

    @property
    def connection_model(self) -> Any:
        """The `CCTuningModel` inside of PEFT's wrapper, or None for ML-SFT."""
        return connection_of(self.model)

    @property
    def _mode(self) -> str:
        return "train" if self.model.training else "eval"

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = list(_COLUMNS)

    def _measure_statistics(self) -> None:
        """Measures what outputs are centred and scaled by, unless it is known: from a checkpoint, or set."""
        connected = self.connection_model
        if connected is None or connected.output_statistics is None:
            return
        if connected.output_statistics.scale.isnan().any():
            set_statistics(self.model_wrapped, self.examples["train"], **self._passes())

    def _refit(self) -> None:
        """Fits W_T again where it is used in training, every so many steps and before the first."""
        connected = self.connection_model
        due = self.state.global_step % self.monolingual_refit_steps == 0
        if due and connected is not None and connected.own_transform is not None:
            fit_own_transform(self.model_wrapped, self.examples["train"], **self._passes())

    def _passes(self) -> dict[str, Any]:
        return {
            "pad_token_id": _pad_token_id(self.processing_class),
            "batch_size": self.args.per_device_train_batch_size,
            "seed": self.args.seed,
            "shard": self._shard,
        }

    @property
    def _shard(self) -> Shard:
        return Shard(self.args.process_index, self.args.world_size)

    def _restore(self, checkpoint: Path) -> None:
        super()._restore(checkpoint)
        connected = self.connection_model
        if connected is not None and constants_of(connected):
            load_connection_weights(connected, checkpoint, constants_only=True)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """As the Trainer's; pooling and gate get a group of their own where their learning rate differs."""
        made_before = self.optimizer  # the Trainer asks twice under DeepSpeed
        optimizer = super().create_optimizer(model)
        if optimizer is made_before:
            return optimizer
        connected = connection_of(self.model if model is None else model)
        for name, module in ({} if connected is None else connected.trained_modules).items():
            multiplier = self.gate_lr_multiplier if name == GATE else self.decision_maker_lr_multiplier
            if multiplier != 1.0:
                weights = [weight for weight in module.parameters() if weight.requires_grad]
                _own_learning_rate(optimizer, weights, multiplier)
        return optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """As the Trainer's: a step's batches and their label tokens; no row of an epoch counts twice."""
        # The mode is not asked of the model: one that was just loaded or evaluated is in eval mode here.
        batches = (self._each_row_once(batch, "train") for batch in epoch_iterator)
        samples, tokens = super().get_batch_samples(batches, num_batches, device)
        connected = self.connection_model
        if connected is not None and connected.connection.alignment:
            rows = [batch["aligned"].sum() for batch in samples]
            counted = torch.stack(rows).sum().to(device) if rows else torch.zeros((), device=device)
            self._aligned_rows = self._sum_over_processes(counted)
        return samples, tokens

    def _each_row_once(self, batch: dict[str, Any], mode: str) -> dict[str, Any]:
        """A batch of the data loader that is being read, without labels where it repeats rows."""
        args = self.args
        last = self.accelerator.gradient_state.end_of_dataloader
        if args.world_size == 1 or args.dataloader_drop_last or not last:
            return batch
        first = first_repeat(
            len(self.stream if self.stream and mode == "train" else self.examples[mode]),
            batch_size=len(batch["labels"]),
            processes=args.world_size,
            process=args.process_index,
        )
        return without_repeats(batch, first)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """A batch's share of the loss (eq. 1): its labels' nats over the label tokens of the whole step.

        These losses and gradients do not depend on how a step's rows are split into batches, accumulated
        passes and processes. Without `num_items_in_batch`, as in an evaluation, the batch counts as a step.
        Two losses do: mixtures of experts add their routers', a mean per batch; `connection.alignment` adds
        the mean over the step's rows of each one's contrast with its batch. Raises `NonFiniteLossError`.
        """
        if not self.model.training:
            inputs = self._each_row_once(inputs, "eval")
        language, example, aligned = (inputs.pop(name) for name in ("language", "example", "aligned"))
        if self.aux_loss_enabled:
            inputs["output_router_logits"] = True
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        nll = -outputs.log_probs  # (B, T - 1), 0 where there is no label
        tokens = outputs.label_mask.sum() if num_items_in_batch is None else num_items_in_batch
        loss = nll.sum() / tokens.clamp(min=1)
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # the engines average gradients over processes
        if self.aux_loss_enabled:
            passes = 1 if num_items_in_batch is None else self.current_gradient_accumulation_steps
            loss = loss + self.router_aux_loss_coef * outputs.aux_loss / passes
        loss = loss + self._alignment_loss(aligned, num_items_in_batch)
        rows = _row_sums(outputs)
        if not torch.isfinite(loss):
            raise NonFiniteLossError(self._non_finite_message(loss, rows.nll, example))
        self._note(language, rows)
        if not return_outputs:
            return loss
        with torch.no_grad():  # the fused head makes no logits
            return loss, model(**{name: value for name, value in inputs.items() if name != "labels"})

    def _alignment_loss(self, aligned: Tensor, num_items_in_batch: Any) -> Tensor | float:
        """A batch's share of the alignment's loss, of its rows `aligned` (B,); 0 without one."""
        connected = self.connection_model
        contrasts = None if connected is None else connected.last_contrast
        if contrasts is None:
            return 0.0
        connected.last_contrast = None  # and with it goes its graph
        counted = aligned.to(contrasts.device)
        self.statistics[self._mode].add_contrasts(contrasts.detach(), counted)
        total = (contrasts * counted).sum() * connected.connection.alignment
        if num_items_in_batch is None or self._aligned_rows is None:
            return total / counted.sum().clamp(min=1)
        return total / self._aligned_rows.clamp(min=1) * self.accelerator.num_processes

    def _note(self, language: Tensor, rows: RowSums) -> None:
        statistics = self.statistics[self._mode]
        statistics.add_rows(language, rows)
        connected = self.connection_model
        if connected is not None and connected.last_selection is not None:
            statistics.add_selection(connected.last_selection, rows.tokens > 0)

    def _non_finite_message(self, loss: Tensor, nll: Tensor, example: Tensor) -> str:
        guilty = example[~nll.isfinite()].tolist() or example.tolist()
        examples: Any = self.examples[self._mode]
        if self.stream is not None and self.model.training:
            examples = self.stream.served
        rows = ", ".join(str(examples[number]) for number in guilty)
        return (
            f"the loss is {loss.item()} at step {self.state.global_step + 1}, in {rows}. "
            f"{_REMEDY}, or look at these rows"
        )

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """As the Trainer's, before the optimizer's step. Raises `NonFiniteLossError`.

        DeepSpeed has taken its step by now; where the norm is not finite it has left it out.
        """
        norm = super()._get_grad_norm(model, grad_norm)
        if isinstance(norm, DTensor):  # FSDP2's
            norm = norm.full_tensor()
        # A float16 run meets such steps as it looks for its loss scale, and leaves them out.
        if not (self.args.fp16 or norm is None or math.isfinite(norm)):
            raise NonFiniteLossError(
                f"the loss is finite and its gradient is not (norm {float(norm)}) at step "
                f"{self.state.global_step + 1}: the weights were not changed by it. {_REMEDY}"
            )
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the Trainer's, with the statistics since the last log; `loss` is theirs, over label tokens."""
        if "loss" in logs:
            statistics = self.statistics["train"].collect(self._sum_over_processes)
            logs |= statistics
            if "loss" not in statistics:  # no row had a label
                del logs["loss"]
        super().log(logs, start_time)

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        """As the Trainer's; the loss is over label tokens, with the statistics and scores beside it."""
        # Its data loader draws a seed: a run with evaluations trains as one without.
        devices = [self.args.device] if self.args.device.type == "cuda" else []
        scores: dict[str, float] = {}
        with torch.random.fork_rng(devices):
            output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
            if self.score is not None:
                with self.accelerator.autocast():
                    scores = self.score(self.model, self._shard)
        values = self.statistics["eval"].collect(self._sum_over_processes) | scores
        output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in values.items()})
        return output

    def _sum_over_processes(self, tensor: Tensor) -> Tensor:
        return self.accelerator.reduce(tensor, reduction="sum")

    def own_state(self) -> dict[str, Any]:
        """The rows, and the statistics since the last log."""
        if self.stream is None:
            rows = fingerprint(self.examples["train"])
        else:  # those that steps have been taken on, in all processes
            rows = self.stream.state(self.state.global_step * len(self.stream) // self.args.max_steps)
        return {"rows": rows, "statistics": self.statistics["train"].state()}

    def restore_own_state(self, state: dict[str, Any]) -> None:
        """Puts the statistics back. Raises `CheckpointError` where the rows are not those of then."""
        then = state["rows"]
        if self.stream is not None:
            self.stream.expect(then)  # it tells when it has come there
        elif then != (now := fingerprint(self.examples["train"])):
            raise CheckpointError(
                f"the checkpoint was made with other rows: {_described(then)} then, {_described(now)} now. "
                "Put the data back as it was, or start anew with resume=never"
            )
        self.statistics["train"].restore(state["statistics"])

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        folder = Path(output_dir or self.args.output_dir)
        # A pickle that nothing reads; recipe.yaml says the same.
        (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)
        if self.args.should_save and isinstance(self.model, PeftModel):
            # PEFT saves the adapter alone.
            self.model.get_base_model().generation_config.save_pretrained(folder)
            save_quantization(self.model.get_base_model(), folder)
            if self.connection_model is not None:
                save_connection(self.connection_model, folder, state_dict)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        best = self.state.best_model_checkpoint
        self._load_connection(best)
        if self.connection_model is not None:
            # A schedule has moved it on since; a soft mixture depends on it.
            connection, _ = read_connection(connection_folder(best) / CONNECTION_FILE)
            self.connection_model.connection.temperature = connection.temperature

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._load_connection(resume_from_checkpoint)

    def _load_connection(self, checkpoint: str) -> None:
        # The connection has files of its own; adapters and FSDP's own files hold it themselves.
        has_connection_file = (connection_folder(checkpoint) / CONNECTION_WEIGHTS).is_file()
        engine_has_it = self.is_fsdp_enabled or isinstance(self.model, PeftModel)
        if has_connection_file and self.connection_model is not None and not engine_has_it:
            load_connection_weights(self.connection_model, checkpoint)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        # The pooling's weights are not missing: they are read from their own file. Nor are tied ones.
        tied = getattr(self.model, "all_tied_weights_keys", {})
        missing = [
            name
            for name in load_result.missing_keys
            if not is_of_connection(name) and tied.get(name, name) in load_result.missing_keys
        ]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))


def _refuse(args: SFTConfig, options: Mapping[str, Any]) -> None:
    """Raises `ValueError` for settings with which the loss would not be the one that is described."""
    for name in ("packing", "padding_free"):
        if getattr(args, name):
            raise ValueError(
                f"{name}=True joins rows, and the connection needs each prompt's own end: set it to False"
            )
    if args.train_sampling_strategy not in ("random", "sequential", "group_by_length"):
        raise ValueError(
            f"train_sampling_strategy={args.train_sampling_strategy} deals rows out to processes by itself: "
            "set it to random, sequential or group_by_length"
        )
    if not args.average_tokens_across_devices:
        raise ValueError(
            "average_tokens_across_devices=False makes the loss depend on how rows are split over processes: "
            "set it to True"
        )
    given = {name: getattr(args, name) for name in ("label_smoothing_factor", "loss_type")}
    given["compute_loss_func"] = options.get("compute_loss_func")
    for name, value in given.items():
        if value not in (None, 0, "nll"):
            raise ValueError(f"{name}={value} is another loss than the method's: leave it out")


def _give_one_dtype(model: Any) -> None:
    """ZeRO-3 takes weights of one dtype. Its optimizer has each in float32 too: no small step is lost."""
    for module in model.trained_modules.values():
        module.to(model.dtype)


def _keep_small_steps(model: Any) -> None:
    """Trains in float32 again what TRL has rounded to bfloat16, where small steps would be lost."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()


def _row_sums(outputs: Any) -> RowSums:
    """The sums over each row's label tokens, in float64, of what TRL's fused LM head returns."""
    sums = (-outputs.log_probs, outputs.entropy, outputs.is_top1, outputs.label_mask)
    return RowSums(*(values.detach().double().sum(-1) for values in sums))


def _examples(
    dataset: Any, tokenizer: Any, max_length: int | None, *, english: bool, response: bool
) -> list[Example]:
    """Rows or examples as examples. Raises `BadRowsError` for rows that cannot be trained on."""
    if len(dataset) and isinstance(dataset[0], Example):
        check_labels(dataset, response=response)
        return list(dataset)
    choose_template(tokenizer, "auto")
    rows, _ = rows_from_records(dataset, english=english, response=response)
    cutoff_len = sys.maxsize if max_length is None else max_length
    examples, problems = encode(
        rows, PromptFormat(tokenizer), cutoff_len=cutoff_len, english_cutoff_len=cutoff_len
    )
    if problems:
        raise BadRowsError(problems)
    return examples


def _described(rows: dict[str, Any]) -> str:
    return f"{rows['count']:,} with tokens {rows['sha256'][:8]}"


def _pad_token_id(tokenizer: Any) -> int:
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ValueError("the tokenizer has neither a padding nor an EOS token: set tokenizer.pad_token")


def _own_learning_rate(
    optimizer: torch.optim.Optimizer, weights: Sequence[Tensor], multiplier: float
) -> None:
    """Moves `weights` into an optimiser group whose learning rate is `multiplier` times their old group's."""
    ours = {id(weight) for weight in weights}
    for group in list(optimizer.param_groups):
        moved = [weight for weight in group["params"] if id(weight) in ours]
        if moved:
            group["params"] = [weight for weight in group["params"] if id(weight) not in ours]
            options = {name: value for name, value in group.items() if name != "params"}
            optimizer.add_param_group({**options, "params": moved, "lr": group["lr"] * multiplier})
