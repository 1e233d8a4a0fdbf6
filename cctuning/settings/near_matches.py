"""Near matches for names that people mistype."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# What other programs call our settings.
_OTHER_NAMES = {
    "learning_rate": "lr",
    "per_device_train_batch_size": "batch_size train_batch_size micro_batch_size",
    "total_batch_size": "global_batch_size effective_batch_size",
    "gradient_accumulation_steps": "accumulation_steps grad_accum gradient_accumulation",
    "num_train_epochs": "epoch n_epochs",
    "max_steps": "steps max_train_steps total_steps train_steps iterations",
    "model_name_or_path": "model model_name model_path model_id base_model checkpoint",
    "model": "model_name_or_path model_name model_path",
    "model_revision": "revision branch",
    "data": "dataset dataset_name train_file train_data train_dataset",
    "data_split": "split",
    "max_rows": "max_samples max_train_samples num_samples",
    "cutoff_len": "max_length max_len max_seq_length max_seq_len seq_len context_length block_size",
    "template": "chat_template prompt_template",
    "lr_scheduler_type": "scheduler lr_scheduler lr_schedule",
    "warmup_ratio": "warmup warmup_steps num_warmup_steps",
    "optim": "optimizer",
    "max_grad_norm": "grad_clip gradient_clipping clip_grad_norm",
    "output_dir": "out out_dir save_dir output",
    "run_name": "name experiment experiment_name",
    "dtype": "torch_dtype precision",
    "bf16": "fp16 mixed_precision",
    "use_cpu": "cpu no_cuda device",
    "gradient_checkpointing": "activation_checkpointing",
    "attn_implementation": "attention flash_attn use_flash_attention",
    "resume": "resume_from_checkpoint",
    "report_to": "wandb tensorboard logger tracker",
    "dataloader_num_workers": "num_workers workers",
    "save_total_limit": "keep_checkpoints",
    "lora.enabled": "use_lora peft use_peft",
    "lora.r": "lora_r lora_rank rank lora.rank",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "lora.target_modules": "target_modules lora_target lora_target_modules",
}
_OURS = {(other, ours) for ours, others in _OTHER_NAMES.items() for other in others.split()}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name in `known` that is most like `name`, upper and lower case apart; None where none is alike.

    In this order: what other programs call `name` (`lr` is our `learning_rate`), one whose last part, after
    a dot or slash, is `name` (`pooling` is near to `connection.pooling`), one that is spelled alike, one with
    `name` in it (`epochs` is near to `num_train_epochs`).
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    name = name.lower()
    matches = [candidate for candidate in by_lower if (name.replace("-", "_"), candidate) in _OURS]
    matches += [candidate for candidate in by_lower if re.split("[./]", candidate)[-1] == name]
    matches += difflib.get_close_matches(name, by_lower, n=1)
    if len(name) > 2:
        matches += [candidate for candidate in by_lower if name in candidate]
    return by_lower[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for an error message, or nothing where no known name is near."""
    match = nearest(name, known)
    return f"; did you mean '{match}'?" if match else ""
