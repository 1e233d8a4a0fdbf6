"""Settings of recipes: one dataclass per command.

They need no torch, so that `--help` and misspelt keys are answered at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from cctuning.settings.keys import Choice, LibraryChoice, list_of, number, numbers, one_of, required, setting

if TYPE_CHECKING:
    from cctuning.analysis.transplant.interventions import Intervention
    from cctuning.connection.modeling_cctuning import ConnectionConfig

CONNECTED = ("monolingual", "bilingual", "translated", "none")
PROMPTINGS = ("original", "cot", "pim")
ROOM_TO_THINK = ["max_new_tokens=512"]  # for a chain of thought
TEMPLATES = (*("llama3", "qwen", "mistral", "plain"), *("authors_llama", "authors_qwen", "authors_mistral"))
ASKED_IN = (*TEMPLATES, "raw")  # of a model that is asked and not trained
SCHEDULES = LibraryChoice(
    ("cosine", "linear", "constant", "constant_with_warmup", "polynomial"), "transformers:SchedulerType"
)
# Settings of training that need all rows at once.
_NOT_STREAMED = {
    "max_rows": "cannot draw from all rows",
    "eval_share": "cannot draw from all rows: name others by eval_data",
    "group_by_length": "cannot sort all rows",
    "english": "would be held in memory: both sides must stand in one row",
    "dataloader_num_workers": "would have each worker read all rows",
}
_PRIVATE = "of a new repository: whether it is private; null: as its owner has set"
MEANWHILE = Choice(("bilingual", "none"))  # inference modes that need no fit
OPTIMIZERS = LibraryChoice(
    ("adamw_torch_fused", "adamw_torch", "adafactor", "sgd"), "transformers.training_args:OptimizerNames"
)


def _refuse_duplicates(
    recipe: Any, *keys: str, alike: Callable[[Any], str] = lambda name: name.strip().lower()
) -> None:
    """Raises `ValueError` for a list of the recipe that names something twice: two names are `alike`."""
    for key in keys:
        names = list(map(alike, getattr(recipe, key)))
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{key}={getattr(recipe, key)} holds {twice[0]!r} twice")


def _check_hub(recipe: Any) -> None:
    """Raises `ValueError` for a repository that nothing is pushed to."""
    for key in ("hub_model_id", "hub_private_repo"):
        if getattr(recipe, key) is not None and not recipe.push_to_hub:
            raise ValueError(f"{key}={getattr(recipe, key)} is about push_to_hub: set push_to_hub=true too")


@dataclass
class ColumnNames:
    """Under which name the data holds each field of a row, and what its texts may also stand in."""

    instruction: str = setting("instruction", "the prompt x")
    instruction_en: str = setting("instruction_en", "its English parallel x_en")
    output: str = setting("output", "the response y")
    id: str = setting("id", "the same id in two languages is the same English item; optional")
    language: str = setting("language", "its code, such as de or zh-Hans; optional")
    output_en: str = setting("output_en", "the response's English parallel; optional")
    input: str = setting("input", "what follows the instruction on a line of its own, as in Alpaca; optional")
    input_en: str = setting("input_en", "its English parallel")
    system: str = setting("system", "a system message; optional")
    system_en: str = setting("system_en", "its English parallel; without one it is the same")
    messages: str = setting("messages", "a conversation, in place of instruction and output")
    messages_en: str = setting("messages_en", "its English parallel: as many turns")


@dataclass
class OtherColumnNames:
    """Columns of a fit's data, where they differ from the run's."""

    instruction: str | None = setting(None, "the prompt x; null: as in the run")
    instruction_en: str | None = setting(None, "its English parallel x_en; null: as in the run")
    output: str | None = setting(None, "the response y; null: as in the run")
    id: str | None = setting(None, "null: as in the run")
    language: str | None = setting(None, "null: as in the run")
    output_en: str | None = setting(None, "the response's English parallel; null: as in the run")
    input: str | None = setting(None, "what follows the instruction; null: as in the run")
    input_en: str | None = setting(None, "its English parallel; null: as in the run")
    system: str | None = setting(None, "a system message; null: as in the run")
    system_en: str | None = setting(None, "its English parallel; null: as in the run")
    messages: str | None = setting(None, "a conversation; null: as in the run")
    messages_en: str | None = setting(None, "its English parallel; null: as in the run")


@dataclass
class ConnectionSettings:
    """The model's own part of the connection's settings: those of `ConnectionConfig`."""

    pooling: str = setting(
        "decision_maker", "of the L English outputs: decision_maker | mean | random | layer"
    )
    sublayer: str = setting("ffn", "which output is connected: ffn | attention | block")
    layer: int | None = setting(None, "for pooling=layer: which one, from 0; -1 is the last")
    temperature: float = setting(1.0, "of the Gumbel-softmax (eq. 4)")
    hard: bool = setting(True, "one layer, straight-through gradient; false: a soft mixture")
    selection: str = setting("argmax", "at inference: argmax | gumbel (the authors' code keeps the noise)")
    embedding: str = setting(
        "last", "e of eq. 3: of the response start's token (last) | the prompt's mean (mean)"
    )
    english_gradient: bool = setting(False, "differentiate the English pass too")
    centred: bool = setting(False, "take each layer's mean English output away from its outputs")
    scale: float | None = setting(
        None, "scale them so that their mean size is this share of the target's own; null: as they are"
    )
    gate: str = setting("none", "what f is multiplied with, trained from 0: none | scalar | vector")
    decision_maker_norm: bool = setting(
        False, "layer norm of the Decision Maker's input, and a start where all layers are as likely"
    )
    target_layer: int = setting(0, "to whose output f is added, from 0; -1 is the last")
    monolingual_share: float = number(
        0.0, at_least=0, at_most=1, help="of the rows, whose vector is their own F · W_T"
    )
    alignment: float = number(
        0.0,
        at_least=0,
        help="weight of a contrastive loss that turns a prompt's own outputs towards the English",
    )


@dataclass
class ConnectionRecipe(ConnectionSettings):
    """The connection, and how it is trained."""

    enabled: bool = setting(True, "false: plain multilingual fine-tuning")
    turns: str = one_of(
        "last", "all", help="of a conversation: connect at its last response, or a row of each of them"
    )
    final_temperature: float | None = number(None, above=0, help="at the last step; null: no schedule")
    temperature_schedule: str = one_of("linear", "exponential", help="how it gets there")
    decision_maker_lr_multiplier: float = number(1.0, above=0, help="times learning_rate")
    gate_lr_multiplier: float = number(100.0, above=0, help="times learning_rate")
    monolingual_refit_steps: int = number(100, at_least=1, help="for a monolingual_share: W_T is fitted anew")

    def __post_init__(self) -> None:
        # Only the connection knows what it accepts, and its module needs torch: the defaults need no check.
        fields = dataclasses.fields(ConnectionSettings)
        if any(getattr(self, field.name) != field.default for field in fields):
            self.config()

    def config(self) -> ConnectionConfig:
        """The part that the model needs. Raises `ValueError` for what the connection does not accept."""
        from cctuning.connection.modeling_cctuning import ConnectionConfig

        names = [field.name for field in dataclasses.fields(ConnectionSettings)]
        return ConnectionConfig(**{name: getattr(self, name) for name in names})


@dataclass
class LoraRecipe:
    """Low-rank adapters in place of full fine-tuning."""

    enabled: bool = setting(False, "train adapters; the model's own weights stay as they are")
    r: int = number(16, at_least=1, help="rank")
    alpha: float = number(32, above=0, help="the update is scaled by alpha / r")
    dropout: float = number(0.0, at_least=0, at_most=1, help="on the adapters' input")
    target_modules: list[str] = setting(["all-linear"], "modules' names")
    use_dora: bool = setting(
        False, "train the size of each weight's columns apart from their direction (DoRA)"
    )
    use_rslora: bool = setting(
        False, "scale by alpha / √r, so that a larger rank does not learn less (rsLoRA)"
    )


@dataclass
class TrainRecipe:
    """Settings of `cctuning train`."""

    model_name_or_path: str = required("the base model: a hub name, a folder or a .gguf file", names="model")
    data: list[str] = required(
        "files (JSONL, JSON, Parquet, CSV, TSV), folders, globs, hub data sets (org/name:config)",
        names="rows",
    )

    run_name: str = setting("run", "default: the recipe's name")
    output_dir: str = setting("", "default: outputs/RUN_NAME", names="path")
    dry_run: bool = setting(
        False, "show the recipe, the rows, steps, memory and one example, and train nothing"
    )
    resume: str = one_of("auto", "never", or_path=True, help="auto: from the newest checkpoint in output_dir")

    # Model
    model_revision: str | None = setting(None, "branch, tag or commit on the hub")
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    attn_implementation: str | None = setting(
        None, "sdpa, eager, flash_attention_2, ...; null: the library chooses"
    )
    dtype: str = one_of(
        "auto", "float32", "bfloat16", "float16", help="of the weights; auto: as stored, float16 as float32"
    )
    connection: ConnectionRecipe = field(default_factory=ConnectionRecipe)
    lora: LoraRecipe = field(default_factory=LoraRecipe)
    load_in_4bit: bool = setting(False, "adapters on a base whose linear layers have four bits (QLoRA)")
    bnb_4bit_quant_type: str = one_of("nf4", "fp4", help="the numbers that four bits stand for")
    bnb_4bit_use_double_quant: bool = setting(True, "their scales in eight bits")

    # Rows
    data_split: str = setting("train", "of data sets that have splits")
    columns: ColumnNames = field(default_factory=ColumnNames)
    english: list[str] = setting([], "sources of the rows' English side, by the same ids", names="rows")
    language: str | None = setting(None, "of rows that do not say it themselves")
    mask_history: bool = setting(
        True, "of a conversation: loss on the last response alone; false: on earlier ones too"
    )
    on_bad_row: str = one_of("error", "skip", help="skip: leave bad rows out and list them in a rejects file")
    max_rows: int | None = number(None, at_least=1, help="train on a random sample of this size")
    streaming: bool = setting(
        False, "read and tokenise rows as training comes to them: for data that does not fit into memory"
    )
    buffer_size: int = number(
        16384, at_least=1, help="with streaming: rows of a block, which are shuffled together"
    )
    template: str = one_of("auto", *TEMPLATES, or_path=True, help="auto: the tokenizer's own, else plain")
    template_arguments: dict[str, Any] = setting({}, "variables of the template: .enable_thinking=false")
    cutoff_len: int = number(
        1024, at_least=2, help="tokens of prompt and response; responses beyond it are cut"
    )
    english_cutoff_len: int = number(
        1024, at_least=1, help="tokens of the English prompt; never cut silently"
    )
    english_buckets: int = number(
        2, at_least=1, help="length groups of a batch's English prompts: less padding"
    )

    # Optimisation
    num_train_epochs: float = number(3.0, above=0, help="passes over the rows")
    max_steps: int | None = number(None, at_least=1, help="where set, in place of num_train_epochs")
    total_batch_size: int = number(16, at_least=1, help="rows per step, over all processes")
    per_device_train_batch_size: int = number(2, at_least=1, help="rows per forward pass of one process")
    gradient_accumulation_steps: int | None = number(
        None, at_least=1, help="null: what total_batch_size needs"
    )
    learning_rate: float = number(1e-5, above=0, help="the highest")
    lr_scheduler_type: str = setting("cosine", "its course", rule=SCHEDULES)
    warmup_ratio: float = number(0.1, at_least=0, at_most=1, help="share of the steps that warm up")
    weight_decay: float = number(0.0, at_least=0, help="decoupled")
    max_grad_norm: float = number(1.0, at_least=0, help="gradients are clipped to it; 0: not")
    adam_beta1: float = number(0.9, at_least=0, at_most=1, help="decay of the mean gradient")
    adam_beta2: float = number(0.999, at_least=0, at_most=1, help="decay of the mean squared gradient")
    optim: str = setting("adamw_torch_fused", "the optimizer", rule=OPTIMIZERS)
    neftune_noise_alpha: float | None = number(
        None, above=0, help="noise on the input embeddings of prompt and response (NEFTune); null: none"
    )
    seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of everything that is drawn")

    # Machine
    bf16: bool = setting(True, "compute in bfloat16 (mixed precision)")
    use_cpu: bool = setting(False, "even where there is a GPU")
    gradient_checkpointing: bool = setting(True, "less memory, about a third more time")
    gradient_checkpointing_reentrant: bool = setting(False, "the older implementation")
    dataloader_num_workers: int = number(0, at_least=0, help="processes that make batches")
    group_by_length: bool = setting(False, "rows of like length together: less padding, less random order")

    # Evaluation while training
    eval_data: list[str] = setting([], "sources of rows to measure the loss on", names="rows")
    eval_split: str = setting("validation", "of data sets that have splits, for eval_data")
    eval_share: float = number(
        0.0, at_least=0, at_most=0.9, help="in place of eval_data: share of the items of data held out"
    )
    eval_steps: int | None = number(None, at_least=1, help="steps between evaluations; null: each epoch")
    eval_benchmarks: list[str] = setting([], "benchmarks to score in each evaluation, by name or YAML file")
    eval_benchmarks_data: str = setting("data/pilot", "folder of their files, or hub")
    eval_languages: list[str] = setting([], "of the benchmarks; default: all that there are")
    eval_limit: int | None = number(50, at_least=1, help="the first questions of each language; null: all")
    eval_inference: list[str] = setting(
        [], "where the connection comes from; default: bilingual, none of a plain model", rule=MEANWHILE
    )
    eval_max_new_tokens: int = number(40, at_least=1, help="the longest response")
    metric_for_best_model: str = setting(
        "eval_loss", "what the next two go by: also eval_BENCHMARK_INFERENCE, such as eval_xnli_none"
    )
    load_best_model_at_end: bool = setting(
        False, "keep the checkpoint of the lowest loss or highest score, and save that model"
    )
    early_stopping_patience: int | None = number(
        None, at_least=1, help="evaluations in a row without a better one that end the run; null: never"
    )

    # What is written
    logging_steps: int = number(10, at_least=1, help="steps between two lines of metrics.jsonl")
    save_strategy: str = one_of("epoch", "steps", "no", help="when checkpoints are written")
    save_steps: int = number(500, at_least=1, help="for save_strategy=steps")
    save_total_limit: int | None = number(1, at_least=1, help="checkpoints kept; null: all")
    report_to: list[str] = list_of("none", "tensorboard", "wandb", "trackio", help="trackers")
    push_to_hub: bool = setting(False, "upload the finished run to the Hugging Face hub")
    hub_model_id: str | None = setting(
        None, "the repository, ORG/NAME; null: the output folder's name, of the token's user"
    )
    hub_private_repo: bool | None = setting(None, _PRIVATE)

    def __post_init__(self) -> None:
        if self.connection.turns == "all" and not self.mask_history:
            raise ValueError(
                "mask_history=False counts earlier responses in every row of a conversation, and with "
                "connection.turns=all each is the last one of a row already: leave it out"
            )
        if self.load_in_4bit and not self.lora.enabled:
            raise ValueError(
                "load_in_4bit=True leaves no weight of the base to train: set lora.enabled=true (QLoRA)"
            )
        if self.connection.alignment and self.per_device_train_batch_size == 1:
            raise ValueError(
                f"connection.alignment={self.connection.alignment} tells a row's English prompt from "
                "those of a pass's other rows, and per_device_train_batch_size=1 has none: set 2 or more"
            )
        self._check_evaluations()
        self._check_streaming()
        _check_hub(self)
        run = PurePath(self.run_name)
        if not self.output_dir and (".." in run.parts or run.is_absolute()):
            raise ValueError(
                f"run_name={run} leads out of outputs/, where the run is written: set output_dir"
            )
        self.output_dir = self.output_dir or f"outputs/{self.run_name}"

    @property
    def evaluates(self) -> str:
        """When the loss is measured on other rows: no | steps | epoch."""
        if not (self.eval_data or self.eval_share):
            return "no"
        return "epoch" if self.eval_steps is None else "steps"

    def _check_evaluations(self) -> None:
        """Raises `ValueError` for settings of evaluations that do not go together."""
        if self.eval_data and self.eval_share:
            raise ValueError(f"eval_share={self.eval_share} beside eval_data: set one of the two")
        for name in ("eval_steps", "eval_benchmarks", "load_best_model_at_end", "early_stopping_patience"):
            if getattr(self, name) and self.evaluates == "no":
                raise ValueError(f"{name}={getattr(self, name)} needs rows: set eval_data or eval_share")
        if self.metric_for_best_model != "eval_loss" and not self.eval_benchmarks:
            raise ValueError(
                f"metric_for_best_model={self.metric_for_best_model} is no score of this run: set "
                "eval_benchmarks, or leave it eval_loss"
            )
        if "bilingual" in self.eval_inference and not self.connection.enabled:
            raise ValueError("eval_inference=[bilingual] needs a connection: set connection.enabled=true")
        if not self.load_best_model_at_end:
            return
        if self.save_strategy != self.evaluates or self.save_steps % (self.eval_steps or 1):
            together = "save_strategy=epoch"
            if self.eval_steps is not None:
                together = f"save_strategy=steps and save_steps a multiple of eval_steps={self.eval_steps}"
            raise ValueError(
                "load_best_model_at_end=True needs a checkpoint where the loss is measured: set " + together
            )

    def _check_streaming(self) -> None:
        """Raises `ValueError` for settings that need all rows at once, or their number."""
        if not self.streaming:
            return
        if self.max_steps is None:
            raise ValueError("streaming=True does not know how many rows there are: set max_steps=N")
        for name, reason in _NOT_STREAMED.items():
            if getattr(self, name):
                raise ValueError(f"{name}={getattr(self, name)} {reason}, with streaming=True")
        if self.save_strategy == "epoch":
            raise ValueError(
                "save_strategy=epoch has no end of an epoch with streaming=True: set save_strategy=steps and "
                "save_steps, or save_strategy=no"
            )
        if self.evaluates == "epoch":
            raise ValueError("eval_steps=None has no end of an epoch with streaming=True: set eval_steps=N")

    def accumulation_steps(self, processes: int) -> int:
        """Forward passes per optimizer step for `processes` training processes.

        Raises `ValueError` where `total_batch_size` cannot be reached with whole passes.
        """
        if self.gradient_accumulation_steps is not None:
            return self.gradient_accumulation_steps
        rows = self.per_device_train_batch_size * processes
        if self.total_batch_size % rows:
            raise ValueError(
                f"total_batch_size={self.total_batch_size} is not a multiple of the {rows} rows of one pass "
                f"(per_device_train_batch_size={self.per_device_train_batch_size} on {processes} processes): "
                "change one of the two, or set gradient_accumulation_steps"
            )
        return self.total_batch_size // rows


@dataclass
class FitRecipe:
    """Settings of `cctuning fit`."""

    model: str | None = setting(
        None,
        "folder of a finished run; null: the newest under outputs/. With benchmarks= an exported model",
        names="model",
    )
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    data: list[str] = setting([], "sources of rows; default: those of the run")
    english: list[str] = setting([], "for data=: sources of the rows' English side, by the same ids")
    columns: OtherColumnNames = field(default_factory=OtherColumnNames)
    benchmarks: list[str] = setting(
        [], "fit nothing: measure the matrix of the exported model on the prompts of these"
    )
    benchmark_data: str = setting("data/benchmarks", "folder of their local files, or hub")
    output_dir: str | None = setting(
        None, "default: MODEL/monolingual, with benchmarks= MODEL/errors", names="path"
    )
    dry_run: bool = setting(False, "show what would be fitted on what, and fit nothing")
    pairs: int = number(
        1000, at_least=2, help="rows to fit on, drawn at random; with benchmarks= prompts of each"
    )
    ridge: float | None = number(
        None, at_least=0, help="null: chosen by cross-validation; 0: plain least squares"
    )
    rank: int | None = number(None, at_least=1, help="of the matrix at most; null: the hidden size")
    mean: bool = setting(False, "predict F_en by its mean and what W_T makes of F less its mean")
    layers: str = one_of(
        "all",
        "each",
        "chosen",
        help="each: a matrix for each; chosen: fit on the layer of pooling=layer alone",
    )
    folds: int = number(5, at_least=2, help="of the cross-validation, over pairs")
    held_out: float = number(
        0.1, above=0, at_most=0.9, help="share of the pairs that the report is measured on"
    )
    seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of the draw")
    batch_size: int = number(8, at_least=1, help="rows per forward pass")
    dtype: str = one_of(
        "auto", "float32", "bfloat16", help="of the model's weights; auto: as they are stored"
    )
    use_cpu: bool = setting(False, "even where there is a GPU")
    push_to_hub: bool = setting(False, "upload the exported model to the Hugging Face hub")
    hub_model_id: str | None = setting(
        None, "the repository, ORG/NAME; null: RUN-monolingual, of the token's user"
    )
    hub_private_repo: bool | None = setting(None, _PRIVATE)

    def __post_init__(self) -> None:
        _check_hub(self)
        if not self.benchmarks:
            return
        _refuse_duplicates(self, "benchmarks")
        if self.model is None:
            raise ValueError("model is missing: benchmarks= measures the matrix of an exported model")
        of_the_fit = [
            (self.data, "data"), (self.english, "english"), (self.ridge is not None, "ridge"),
            (self.rank is not None, "rank"), (self.mean, "mean"), (self.layers != "all", "layers"),
            (any(dataclasses.asdict(self.columns).values()), "columns"), (self.push_to_hub, "push_to_hub"),
        ]  # fmt: skip
        if key := next((key for is_set, key in of_the_fit if is_set), None):
            raise ValueError(f"{key}= is about a fit, and benchmarks= fits nothing: leave one out")


@dataclass
class TranslatorRecipe:
    """The translator of prompts into English where inference=translated."""

    kind: str = one_of(
        "self", "nllb", "madlad", "ctranslate2", "file", help="self: a language model, asked to"
    )
    model: str | None = setting(
        None, "its folder, hub name or file; null with self: the model itself, or its base", names="path"
    )


@dataclass
class EvaluateRecipe:
    """Settings of `cctuning evaluate`."""

    model: str = required("folder of a run, of an exported model, or a hub name", names="model")
    benchmarks: list[str] = required("which ones, by name; of one's own by YAML file")

    run_name: str = setting("evaluation", "default: the recipe's name")
    output_dir: str | None = setting(
        None, "default: evaluation/RUN_NAME-INFERENCE in the model's folder", names="path"
    )
    dry_run: bool = setting(False, "show what would be asked, and ask nothing")
    resume: str = one_of("auto", "never", help="auto: go on with what output_dir holds; never: ask all anew")

    # Model
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    dtype: str = one_of("auto", "float32", "bfloat16", help="of the weights; auto: as they are stored")
    attn_implementation: str | None = setting(
        None, "sdpa, eager, flash_attention_2, ...; null: the library chooses"
    )
    template: str = one_of(
        "auto", *ASKED_IN, or_path=True, help="auto: the tokenizer's, else plain; raw: none"
    )
    template_arguments: dict[str, Any] = setting({}, "variables of the template: .enable_thinking=false")
    engine: str = one_of("hf", "vllm", help="what runs the model: transformers, or vLLM")
    engine_arguments: dict[str, Any] = setting({}, "of vLLM's LLM(...): .tensor_parallel_size=2")
    use_cpu: bool = setting(False, "even where there is a GPU")

    # Questions
    data: str = setting("data/benchmarks", "folder of local files, or hub: the sets on the Hugging Face hub")
    languages: list[str] = setting([], "default: all that there are")
    limit: int | None = number(None, at_least=1, help="the first questions of each language; null: all")
    leave_out_faults: bool = setting(False, "leave out the known faults of the data (anomalies.json)")

    # How they are asked
    inference: str = one_of("auto", "monolingual", "bilingual", "translated", "none", help="the connection's")
    prompting: str = one_of(*PROMPTINGS, help="chain of thought; the prompts of both languages")
    shots: int = number(0, at_least=0, help="questions with their answers before the one that is asked")
    shots_data: str = setting("data/pilot", "folder they are drawn from, the same ones in all languages")
    shots_seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of the draw")
    translator: TranslatorRecipe = field(default_factory=TranslatorRecipe)
    max_new_tokens: int = number(40, at_least=1, help="the longest response")
    on_bad_prompt: str = one_of(
        "error", "leave_out", help="beyond the model's positions, or with special tokens"
    )
    log_likelihood: bool = setting(True, "of the options of a choice, beside the response")
    batch_size: int = number(32, at_least=1, help="prompts in a batch, at most")
    batch_tokens: int = number(16384, at_least=1, help="tokens of a batch's padded prompts, at most")

    # What is written
    push_to_hub: bool = setting(
        False, "upload the results, and the model's card with its scores, to the Hugging Face hub"
    )
    hub_model_id: str | None = setting(
        None, "the model's repository, ORG/NAME; null: as train and fit name it, of the token's user"
    )
    hub_private_repo: bool | None = setting(None, _PRIVATE)

    def __post_init__(self) -> None:
        _check_hub(self)
        if not self.benchmarks:
            raise ValueError("benchmarks=[] names none to ask")
        if self.shots and self.prompting != "original":
            raise ValueError(
                f"shots={self.shots} cannot be shown with prompting={self.prompting}: answers have no chain "
                "of thought and one language; leave one of the two out"
            )
        _refuse_duplicates(self, "benchmarks", "languages")


@dataclass
class ProbeRecipe:
    """Settings of `cctuning probe`."""

    model: str = required(
        "folder or hub name; a connected model is probed without its connection", names="model"
    )
    benchmarks: list[str] = setting([], "which ones, by name or YAML file; or a question= in their place")

    run_name: str = setting("probe", "default: the recipe's name")
    output_dir: str | None = setting(
        None, "default: probing/RUN_NAME in the model's folder, or in outputs/ORG--NAME", names="path"
    )
    dry_run: bool = setting(False, "show what would be asked and what it costs, and ask nothing")
    resume: str = one_of("auto", "never", help="auto: go on with what output_dir holds; never: ask all anew")

    # Model
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    dtype: str = one_of("auto", "float32", "bfloat16", help="of the weights; auto: as they are stored")
    template: str = one_of(
        "auto", *ASKED_IN, or_path=True, help="auto: the tokenizer's, else plain; raw: none"
    )
    template_arguments: dict[str, Any] = setting({}, "variables of the template: .enable_thinking=false")
    use_cpu: bool = setting(False, "even where there is a GPU")

    # Questions
    pilot: str = setting("data/pilot", "folder of local files, or hub: every layer is put into every layer")
    unseen: str | None = setting(None, "the same, of questions that chosen pairs are tried on; null: none")
    languages: list[str] = setting([], "default: all that there are")
    limit: int | None = number(None, at_least=1, help="the first pilot questions of each language; null: all")
    unseen_limit: int | None = number(None, at_least=1, help="the same of unseen questions")
    leave_out_faults: bool = setting(False, "leave out the known faults of the data (anomalies.json)")
    on_bad_prompt: str = one_of("error", "leave_out", help="too long, without parallel, with special tokens")

    shots: int = number(0, at_least=0, help="questions with their answers before both prompts")
    shots_data: str | None = setting(None, "folder they are drawn from, the same ones in all languages")
    shots_seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of the draw")

    # Or one question of one's own
    question: str | None = setting(None, "what is asked: activations go into it")
    english: str | None = setting(None, "the same in English, or any other language: they come from it")
    answer: list[str] = setting([], "texts that are right, each alone")

    # Transplants
    sublayers: list[str] = list_of(
        "ffn", "attention", "attention_residual", "block", help="whose outputs are moved"
    )
    intervention: str = one_of(
        *("replace", "add", "replace_mean", "add_mean", "add_difference"),
        help="what becomes of a layer's output; mean: of source layers 0 to i; difference: source - target",
    )
    scale: float = number(1.0, help="times what is moved")
    positions: int = number(1, at_least=1, help="the last tokens of both prompts at which it is done")
    also_targets: list[int] = numbers(
        at_least=1, help="each output goes so many layers further, too: [1] is layers j and j + 1 at once"
    )
    direction: str = one_of(
        "auto", "to_language", "to_centre", help="auto: into the language; culture: into English"
    )
    centre: str = setting("en", "the language at the other end")
    max_new_tokens: int = number(20, at_least=1, help="the longest answer")
    log_likelihood: bool = setting(
        False, "the answer is the likeliest option of a choice, and nothing is written"
    )
    control: bool = setting(
        True,
        "sweep the pilot with other questions' source prompts too, for log-probabilities alone",
        before=False,
    )
    unseen_cells: str = one_of("chosen", "all", help="pairs that the pilot chose, or all pairs there too")
    option_scores: bool = setting(
        True, "log-probabilities of a choice's options, or of right answers, in every cell"
    )
    plain_scores: bool = setting(True, "log-probabilities of all answers under the model as it is")
    activations: bool = setting(True, "keep what was moved: probes of pair selectors learn from it")
    rows: int | None = number(None, at_least=1, help="cells of a forward pass; null: by free memory")

    # What stands beside the chosen pairs on unseen questions
    prompting: list[str] = list_of(*PROMPTINGS, help="original is always there; cot, pim beside it")
    cot_new_tokens: int = number(512, at_least=1, help="the longest chain of thought")
    batch_size: int = number(
        32, at_least=1, help="prompts in a batch, at most, where nothing is transplanted"
    )
    beside: list[str] = setting([], "folders that evaluate wrote, say of an ML-SFT model", names="path")

    # What is made of the cells
    seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of resampling and probes")
    lens: bool = setting(True, "intermediate decoding of a question that a transplant sets right")

    def __post_init__(self) -> None:
        self._check_question()
        _refuse_duplicates(self, "benchmarks", "languages", "sublayers", "prompting")
        _refuse_duplicates(self, "also_targets", alike=str)
        if not self.sublayers:
            raise ValueError("sublayers=[] names none to transplant")
        self._check_log_likelihood()
        if self.shots and self.shots_data is None:
            raise ValueError(f"shots={self.shots}: shots_data= must say of which questions, not those asked")
        if self.shots and set(self.prompting) - {"original"}:
            raise ValueError(
                f"shots={self.shots} cannot be shown with prompting={self.prompting}: set it to [original]"
            )
        if self.unseen is None:
            set_keys = {
                "beside=": self.beside,
                "unseen_limit=": self.unseen_limit,
                "unseen_cells=": self.unseen_cells == "all",
                "prompting=": set(self.prompting) - {"original"},
            }
            if key_set := next((key for key, value in set_keys.items() if value), None):
                raise ValueError(f"{key_set} is about unseen questions: set unseen= too")

    def as_intervention(self) -> Intervention:
        """What the sweeps do with a layer's output."""
        from cctuning.analysis.transplant.interventions import Intervention

        return Intervention(self.intervention, float(self.scale), self.positions)

    def _check_log_likelihood(self) -> None:
        """Raises `ValueError` where likeliest options are asked for, and not known or compared with texts."""
        if not self.log_likelihood:
            return
        written = {
            "option_scores=false": not self.option_scores,
            "question=": self.question is not None,
            f"prompting={self.prompting}": set(self.prompting) - {"original"},
            "beside=": self.beside,
        }
        if other := next((name for name, is_set in written.items() if is_set), None):
            raise ValueError(f"log_likelihood=true judges likeliest options, so {other} cannot go with it")

    def _check_question(self) -> None:
        """Raises `ValueError` unless there are benchmarks, or all of one question, and not both."""
        of_question = {"question": self.question, "english": self.english, "answer": self.answer}
        if not any(of_question.values()):
            if not self.benchmarks:
                raise ValueError("benchmarks=[] names none to ask, and question= asks none either")
            return
        if missing := [f"{name}=" for name, value in of_question.items() if not value]:
            raise ValueError(f"{missing[0]} is missing: a question needs question=, english= and answer=")
        if self.run_name == "probe":
            self.run_name = "question"
        of_benchmarks = ("benchmarks", "languages", "limit", "unseen", "beside", "shots")
        if key := next((name for name in of_benchmarks if getattr(self, name)), None):
            raise ValueError(f"{key}= is about benchmarks, and question= asks one question: leave one out")


@dataclass
class CompareRecipe:
    """Settings of `cctuning compare`."""

    results: list[str] = required(
        "folders that evaluate, or probe, wrote; the first is the baseline", names="path"
    )

    output_dir: str = setting("outputs/comparison", "for tables, JSON and the figure", names="path")
    names: list[str] = setting([], "of the models in tables; default: from the folders")
    metric: str | None = setting(
        None, "shown, such as strict, f1 or f1,strict; null: the one that the papers report"
    )
    common_only: bool = setting(
        False, "compare the questions that all were asked; false: others are an error"
    )
    resamples: int = number(20_000, at_least=1000, at_most=1_000_000, help="draws of the bootstrap")
    seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of the draws")


@dataclass
class ChatRecipe:
    """Settings of `cctuning chat`."""

    model: str | None = setting(None, "folder of a run, of an exported model, or a hub name", names="model")
    server: str | None = setting(None, "in place of model: the address of one that is served, http://...")
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    question: str | None = setting(None, "asked once; null: a conversation, until an empty question")
    english: str | None = setting(None, "the question's English parallel, for bilingual inference")
    prompt_language: str | None = setting(
        None, "of the questions (sw): the model itself puts them into English first, for translated inference"
    )
    system: str | None = setting(None, "a system message, at the beginning of the conversation")
    max_new_tokens: int = number(128, at_least=1, help="the longest answer")
    temperature: float = number(0.0, at_least=0, at_most=2, help="of sampling; 0: the best token each time")
    top_p: float = number(1.0, above=0, at_most=1, help="of sampling: from the tokens of this probability")
    seed: int | None = number(
        None, at_least=0, at_most=2**63 - 1, help="of sampling; null: another answer each time"
    )
    stream: bool = setting(True, "show an answer while it is written")
    template: str = one_of(
        "auto", *ASKED_IN, or_path=True, help="auto: the tokenizer's, else plain; raw: none"
    )
    template_arguments: dict[str, Any] = setting({}, "variables of the template: .enable_thinking=false")
    dtype: str = one_of("auto", "float32", "bfloat16", help="of the weights; auto: as they are stored")
    use_cpu: bool = setting(False, "even where there is a GPU")

    def __post_init__(self) -> None:
        if (self.model is None) == (self.server is None):
            state = "must be set" if self.model is None else "is set, and server too"
            raise ValueError(f"model {state}: model names one to load, server the address of one that runs")
        if self.english is not None and self.question is None:
            raise ValueError("english is the parallel of question: set both, or none")
        if self.english is not None and self.prompt_language is not None:
            raise ValueError(
                "prompt_language has no use with english, which is the question's English already"
            )
        if self.temperature == 0 and (self.top_p != 1 or self.seed is not None):
            raise ValueError("top_p and seed have no use without a temperature above 0")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        of_the_server = ("trust_remote_code", "template", "dtype", "use_cpu")
        others = [name for name in of_the_server if getattr(self, name) != defaults[name]]
        if self.server is not None and (others or self.template_arguments):
            raise ValueError(f"{(others or ['template_arguments'])[0]} is decided where the model is served")


@dataclass
class ServeRecipe:
    """Settings of `cctuning serve`."""

    model: str = required("folder of an exported model, or any other plain model", names="model")
    engine: str = one_of(
        "auto", "vllm", "transformers", help="auto: vLLM where it is installed, else transformers"
    )
    host: str = setting("127.0.0.1", "address to listen at; 0.0.0.0: reachable from other machines")
    port: int = number(8000, at_least=0, at_most=65535, help="0: a free one")
    name: str | None = setting(None, "what requests call the model; null: as it is given")
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    dtype: str = one_of("auto", "float32", "bfloat16", help="of the weights; auto: as they are stored")
    use_cpu: bool = setting(False, "even where there is a GPU; not with vLLM")
    max_new_tokens: int = number(
        1024, at_least=1, help="the longest answer to a request without max_tokens; not with vLLM"
    )
    vllm_arguments: list[str] = setting([], "more arguments of vLLM's server: [--max-model-len=4096]")


@dataclass
class LaunchRecipe:
    """Beginning of a study's commands: `python`, or `accelerate launch` with its arguments."""

    train: str = setting(
        "python", "training, such as accelerate launch --config_file recipes/accelerate/fsdp2.yaml"
    )
    fit: str = setting("python", "the same for the fit")
    evaluate: str = setting("python", "the same for the evaluation")
    probe: str = setting("python", "the same for a probe")


@dataclass
class StudyRecipe:
    """Settings of `cctuning study`."""

    recipes: list[str] = setting([], "of train, a model each; MODEL in a name stands for each of models")
    models: list[str] = setting(
        [], "what is put in place of MODEL, or with probes= the models themselves", names="path"
    )
    probes: list[str] = setting([], "in place of recipes: those of probe, for each of models as it is")
    centres: list[str] = setting([], "a probe for each of these languages at the other end; empty: one")
    evaluation: str = setting("paper", "the recipe of evaluate")
    inference: list[str] = list_of(*CONNECTED, help="how models with a connection are asked")
    prompting: list[str] = list_of(*PROMPTINGS, help="what all models are asked, plain ones too")
    pairs: list[int] = numbers(1000, at_least=2, help="rows of the fit, a matrix for each number")
    seeds: list[int] = numbers(
        at_least=0, help="trainings of each recipe; empty: one, with the recipe's seed"
    )
    matrix_errors: bool = setting(
        False, "measure each Transform Matrix on the prompts of the evaluation's benchmarks"
    )
    baseline: str = one_of(
        "first", "plain", "own", help="of a row: the first, the last without a connection, its recipe's first"
    )

    run_name: str = setting("study", "default: the recipe's name")
    runs: str = setting("outputs", "where models are written: RUNS/NAME OF THE RECIPE", names="path")
    output_dir: str = setting("", "of the tables and logs; default: RUNS/studies/RUN_NAME", names="path")
    dry_run: bool = setting(False, "show the steps and which are done, and run nothing")

    train: list[str] = setting([], "key=value for every training")
    fit: list[str] = setting([], "key=value for every fit")
    evaluate: list[str] = setting([], "key=value for every evaluation")
    probe: list[str] = setting([], "key=value for every probe")
    evaluate_cot: list[str] = setting(ROOM_TO_THINK, "the same, of prompting=cot alone")
    launch: LaunchRecipe = field(default_factory=LaunchRecipe)
    jobs: int = number(1, at_least=1, help="steps at a time")

    def __post_init__(self) -> None:
        if bool(self.recipes) == bool(self.probes):
            known = "name none to run" if not self.recipes else "are both set"
            raise ValueError(f"recipes= and probes= {known}: set one of them, of trainings or of probes")
        _refuse_duplicates(self, "seeds", alike=str)
        _refuse_duplicates(self, "probes", "centres")
        self.output_dir = self.output_dir or f"{self.runs}/studies/{self.run_name}"


@dataclass
class ShownModels:
    """The models whose representations visualize compares, in the order of the figure."""

    base: str | None = setting(None, "before any fine-tuning: a folder or hub name", names="model")
    sft: str | None = setting(None, "after plain multilingual fine-tuning", names="model")
    cctuning: str | None = setting(
        None, "after CC-Tuning: the run, or what was exported from it", names="model"
    )


@dataclass
class VisualizeRecipe:
    """Settings of `cctuning visualize`."""

    output_dir: str = setting(
        "outputs/figures", "for the figures, and for JSON and CSV files of their numbers", names="path"
    )
    dry_run: bool = setting(False, "show what would be drawn from what, and draw nothing")

    # Representations of parallel sentences: of models
    models: ShownModels = field(default_factory=ShownModels)
    data: list[str] = setting([], "sentences from training rows: files, folders, hub sets", names="rows")
    columns: ColumnNames = field(default_factory=ColumnNames)
    on_bad_row: str = one_of("error", "skip", help="skip: leave bad rows out")
    benchmark: str | None = setting(None, "or sentences from the questions of a benchmark, by name")
    benchmark_data: str = setting("data/benchmarks", "folder of its local files, or hub")
    languages: list[str] = setting([], "default: all that there are, and English")
    sentences: int = number(
        200, at_least=2, help="in each language, drawn at random; the same for all models"
    )
    layer: int = setting(-1, "whose output, from 0; -1 is the last, behind the final norm")
    pooling: str = one_of("response_start", "mean", help="of a prompt's tokens: the last one, or their mean")
    inference: str = one_of("auto", "monolingual", "bilingual", "none", help="the connection's; see the docs")
    template: str = one_of("auto", *TEMPLATES, or_path=True, help="auto: each tokenizer's own, else plain")
    template_arguments: dict[str, Any] = setting({}, "variables of the template: .enable_thinking=false")
    perplexity: float = number(30, at_least=1, help="of t-SNE; less where there are few points")
    seed: int = number(42, at_least=0, at_most=2**32 - 1, help="of the draw, and of t-SNE")
    batch_size: int = number(16, at_least=1, help="prompts in a batch")
    dtype: str = one_of("auto", "float32", "bfloat16", help="of the weights; auto: as they are stored")
    trust_remote_code: bool = setting(False, "run code that comes with a model")
    use_cpu: bool = setting(False, "even where there is a GPU")

    # Chosen layers: of evaluations
    results: list[str] = setting([], "folders that evaluate wrote", names="path")
    names: list[str] = setting([], "of the evaluations; default: from the folders")

    # Losses: of runs
    runs: list[str] = setting([], "folders that train wrote, finished or not", names="path")
    x: str = one_of("step", "tokens", help="what losses are drawn over; tokens are those with a label")

    def shown_models(self) -> dict[str, str]:
        """The models that are given, by their place in the comparison."""
        return {name: model for name, model in dataclasses.asdict(self.models).items() if model is not None}

    def __post_init__(self) -> None:
        if not (self.shown_models() or self.results or self.runs):
            raise ValueError("models, results and runs are all empty: nothing to draw (--help lists them)")
        if self.shown_models() and bool(self.data) == (self.benchmark is not None):
            raise ValueError(
                "models need sentences: name either data=[...], training rows, or benchmark=NAME"
            )
        _refuse_duplicates(self, "languages")
        _refuse_duplicates(self, "results", "runs", alike=str)
