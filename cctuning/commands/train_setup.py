"""From a training recipe to what the libraries take: model, arguments, trainer, and a step to estimate."""

from typing import Any

import torch
from peft import LoraConfig
from transformers import set_seed
from trl import SFTConfig

from cctuning.commands.schemas import TrainRecipe
from cctuning.commands.training_scores import BenchmarkScores
from cctuning.connection.model import CCTuningModel
from cctuning.data.encoding import Example
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.engines import current_engine
from cctuning.generation.rules import prepare_to_save
from cctuning.pretrained.four_bits import load_four_bits
from cctuning.pretrained.loading import load_causal_lm, load_config
from cctuning.pretrained.names import naming_model
from cctuning.training.callbacks import EarlyStopping, MetricsFile, TemperatureSchedule
from cctuning.training.checkpointing import checkpointing_arguments
from cctuning.training.memory import Step
from cctuning.training.metrics import EVALUATED_LOSS
from cctuning.training.preflight import trained_dtype
from cctuning.training.streaming import StreamedExamples
from cctuning.training.trainer import CCTuningTrainer


def source_options(recipe: TrainRecipe) -> dict[str, Any]:
    """The model's version, and whether its own code may run."""
    return {"revision": recipe.model_revision, "trust_remote_code": recipe.trust_remote_code}


def base_config(recipe: TrainRecipe) -> Any:
    """The base model's configuration."""
    return load_config(recipe.model_name_or_path, **source_options(recipe))


def training_step(recipe: TrainRecipe, examples: list[Example], lora: LoraConfig) -> Step:
    """The step of one process, with the longest rows that there are."""
    config = base_config(recipe)
    return Step(
        config,
        rows=recipe.per_device_train_batch_size,
        tokens=max(len(example.input_ids) for example in examples),
        response_tokens=max(example.label_count for example in examples),
        prompt_tokens=max(example.prompt_length for example in examples),
        english_tokens=max(len(example.english_input_ids) for example in examples),
        connection=recipe.connection.config() if recipe.connection.enabled else None,
        lora=lora if recipe.lora.enabled else None,
        four_bits=recipe.load_in_4bit,
        double_quant=recipe.bnb_4bit_use_double_quant,
        dtype=weights_dtype(recipe, config),
        bf16=recipe.bf16,
        checkpointing=recipe.gradient_checkpointing,
        reentrant=recipe.gradient_checkpointing_reentrant,
        attention=recipe.attn_implementation,
        accumulation=recipe.accumulation_steps(current_engine().processes),
        optim=recipe.optim,
        gpu=not recipe.use_cpu,
        trust_remote_code=recipe.trust_remote_code,
    )


def stored_dtype(config: Any) -> str:
    """The dtype that the weights are stored in, as a name: float32 where the configuration does not say."""
    return str(config.dtype or torch.float32).removeprefix("torch.")


def weights_dtype(recipe: TrainRecipe, config: Any) -> str:
    """The dtype that the weights are loaded and trained in, as a name."""
    return trained_dtype(recipe.dtype, stored_dtype(config), adapter=recipe.lora.enabled)


def quantization(recipe: TrainRecipe) -> dict[str, Any]:
    """The settings of `BitsAndBytesConfig` for a recipe; it computes in what the rest computes in."""
    return {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": recipe.bnb_4bit_quant_type,
        "bnb_4bit_use_double_quant": recipe.bnb_4bit_use_double_quant,
        "bnb_4bit_compute_dtype": "bfloat16" if recipe.bf16 else weights_dtype(recipe, base_config(recipe)),
    }


def load_base_model(recipe: TrainRecipe, prompts: PromptFormat) -> Any:
    """The base model, connected unless the recipe says otherwise."""
    with naming_model("model_name_or_path", recipe.model_name_or_path):
        options = {
            **source_options(recipe),
            "attn_implementation": recipe.attn_implementation,
            "dtype": weights_dtype(recipe, base_config(recipe)),
        }
        if recipe.load_in_4bit:
            # They are quantised on the device that they are to be on.
            place: dict[str, Any] = {"device_map": {"": "cpu"}} if recipe.use_cpu else {}
            model = load_four_bits(recipe.model_name_or_path, quantization(recipe), **options, **place)
        else:
            model = load_causal_lm(recipe.model_name_or_path, **options)
    prepare_to_save(model.generation_config, prompts)
    set_seed(recipe.seed)  # loading may have drawn numbers, and engines load in different ways
    if recipe.connection.enabled:
        model = CCTuningModel.wrap(model, recipe.connection.config())
        model.response_marker = tuple(prompts.response_marker)
    return model


def make_trainer(
    recipe: TrainRecipe,
    arguments: SFTConfig,
    examples: list[Example] | StreamedExamples,
    held_out: list[Example],
    tokenizer: Any,
    model: Any,
    scores: BenchmarkScores | None,
) -> CCTuningTrainer:
    """The trainer for a recipe, which measures the loss on `held_out`, and `scores`, meanwhile."""
    callbacks: list[Any] = [MetricsFile(recipe.output_dir)]
    connection = recipe.connection
    if connection.enabled and connection.final_temperature is not None:
        schedule = (connection.final_temperature, connection.temperature_schedule)
        callbacks.append(TemperatureSchedule(model.connection, *schedule))
    if recipe.early_stopping_patience is not None:
        callbacks.append(EarlyStopping(recipe.early_stopping_patience, recipe.metric_for_best_model))
    tokenizer.padding_side = "left"  # as it is saved: batches of prompts are padded on the left
    return CCTuningTrainer(
        model,
        arguments,
        train_dataset=examples,
        eval_dataset=held_out or None,
        processing_class=tokenizer,
        english_buckets=recipe.english_buckets,
        decision_maker_lr_multiplier=connection.decision_maker_lr_multiplier,
        gate_lr_multiplier=connection.gate_lr_multiplier,
        monolingual_refit_steps=connection.monolingual_refit_steps,
        score=scores,
        peft_config=lora_config(recipe) if recipe.lora.enabled else None,
        callbacks=callbacks,
    )


def training_arguments(recipe: TrainRecipe) -> SFTConfig:
    """TRL's arguments for a recipe."""
    return SFTConfig(
        output_dir=recipe.output_dir,
        run_name=recipe.run_name,
        num_train_epochs=recipe.num_train_epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        gradient_accumulation_steps=recipe.accumulation_steps(current_engine().processes),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler_type,
        warmup_steps=recipe.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        adam_beta1=recipe.adam_beta1,
        adam_beta2=recipe.adam_beta2,
        optim=recipe.optim,
        neftune_noise_alpha=recipe.neftune_noise_alpha,
        seed=recipe.seed,
        bf16=recipe.bf16,
        use_cpu=recipe.use_cpu,
        ddp_find_unused_parameters=False,  # every weight is used in every pass; looking for others takes time
        **checkpointing_arguments(
            recipe.gradient_checkpointing, reentrant=recipe.gradient_checkpointing_reentrant
        ),
        dataloader_num_workers=recipe.dataloader_num_workers,
        train_sampling_strategy="group_by_length" if recipe.group_by_length else "random",
        eval_strategy=recipe.evaluates,
        eval_steps=recipe.eval_steps,
        per_device_eval_batch_size=recipe.per_device_train_batch_size,
        load_best_model_at_end=recipe.load_best_model_at_end,
        metric_for_best_model=None if recipe.evaluates == "no" else recipe.metric_for_best_model,
        greater_is_better=recipe.metric_for_best_model != EVALUATED_LOSS,
        logging_steps=recipe.logging_steps,
        logging_first_step=True,
        save_strategy=recipe.save_strategy,
        save_steps=recipe.save_steps,
        save_total_limit=recipe.save_total_limit,
        report_to=[name for name in recipe.report_to if name != "none"],
    )


def lora_config(recipe: TrainRecipe) -> LoraConfig:
    """PEFT's adapter configuration for a recipe."""
    modules = recipe.lora.target_modules
    return LoraConfig(
        r=recipe.lora.r,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        use_dora=recipe.lora.use_dora,
        use_rslora=recipe.lora.use_rslora,
        target_modules="all-linear" if modules == ["all-linear"] else modules,
        revision=recipe.model_revision,  # of the base model that the fit and the export merge it into
        task_type="CAUSAL_LM",
    )
