"""Settings of other programs: what ours are called there, and what there is none of here."""

from collections.abc import Iterable

# Ours -> what means the same under another name.
OTHER_NAMES = {
    "learning_rate": "lr",
    "per_device_train_batch_size": "batch_size train_batch_size micro_batch_size",
    "total_batch_size": "global_batch_size effective_batch_size",
    "gradient_accumulation_steps": "accumulation_steps grad_accum gradient_accumulation",
    "num_train_epochs": "epoch n_epochs num_epochs",
    "max_steps": "steps max_train_steps total_steps train_steps iterations",
    "model_name_or_path": "model model_name model_path model_id base_model checkpoint",
    "model": "model_name_or_path model_name model_path",
    "model_revision": "revision branch revision_of_model",
    "data": "dataset dataset_name datasets train_file train_data train_dataset",
    "data_split": "split dataset_train_split",
    "eval_split": "dataset_test_split",
    "max_rows": "max_samples max_train_samples num_samples",
    "streaming": "dataset_streaming",
    "buffer_size": "shuffle_buffer_size streaming_multipack_buffer_size",
    "cutoff_len": (
        "max_length max_len max_seq_length max_seq_len seq_len sequence_len context_length block_size"
    ),
    "template": "chat_template prompt_template chat_template_path",
    "lr_scheduler_type": "scheduler lr_scheduler lr_schedule",
    "warmup_ratio": "warmup",
    "optim": "optimizer",
    "max_grad_norm": "grad_clip gradient_clipping clip_grad_norm",
    "output_dir": "out out_dir save_dir output output_path",
    "run_name": "name experiment experiment_name",
    "dtype": "torch_dtype precision",
    "bf16": "mixed_precision",
    "use_cpu": "cpu no_cuda device",
    "gradient_checkpointing": "activation_checkpointing",
    "attn_implementation": "attention",
    "resume": "resume_from_checkpoint",
    "report_to": "wandb tensorboard logger tracker",
    "dataloader_num_workers": "num_workers workers",
    "save_total_limit": "keep_checkpoints",
    "lora.enabled": "use_lora peft use_peft",
    "lora.r": "lora_r lora_rank rank lora.rank",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "lora.target_modules": "target_modules lora_target lora_target_modules",
    "lora.use_dora": "use_dora peft_use_dora",
    "lora.use_rslora": "use_rslora peft_use_rslora",
    "load_in_4bit": "load_4bit",
    "bnb_4bit_quant_type": "quantization_type",
    "bnb_4bit_use_double_quant": "double_quantization use_bnb_nested_quant",
    "neftune_noise_alpha": "noisy_embedding_alpha",
    "eval_data": "eval_dataset eval_file validation_file test_datasets",
    "eval_share": "val_size val_set_size validation_split eval_ratio",
    "early_stopping_patience": "patience early_stopping_steps",
    "benchmarks": "tasks task",
    "push_to_hub": "hf_hub_log_args",
    "shots": "num_fewshot fewshot n_shot",
    "shots_seed": "seed fewshot_seed",
    "hub_model_id": "export_hub_model_id repo_id",
    "hub_private_repo": "hub_private",
}
# (their name, ours)
ALIASES = {(other, ours) for ours, others in OTHER_NAMES.items() for other in others.split()}

# Why there is no such setting, or what stands in its place -> their names for it.
_NOT_HERE = {
    # Rows
    "because it joins rows, and the connection needs each prompt's own end": (
        "packing sample_packing neat_packing eval_packing padding_free pad_to_sequence_len"
    ),
    "because the loss is the method's, of the responses' tokens alone and each alike": (
        "train_on_prompt train_on_inputs label_smoothing_factor loss_type dft_loss use_dft_loss"
    ),
    "because it is always so: only responses carry a loss": (
        "completion_only_loss assistant_only_loss roles_to_train"
    ),
    "instead data=[A,B]: all rows of all sources, shuffled": (
        "mix_strategy interleave_probs shuffle_merged_datasets"
    ),
    "instead data=FOLDER, or the paths of files": "dataset_dir data_dir data_files ds_type",
    "instead columns.instruction=NAME, columns.output=NAME and the others name the columns": (
        "dataset_text_field formatting_func formatting field_instruction field_output field_messages"
    ),
    "because rows are read and tokenised by every run, which takes less time than loading the model": (
        "tokenized_path dataset_prepared_path overwrite_cache preprocessing_num_workers dataset_num_proc "
        "dataset_processes dataset_kwargs"
    ),
    "because the template and the tokenizer are the model's: template=PATH names another template": (
        "special_tokens additional_special_tokens add_tokens add_special_tokens new_special_tokens eos_token "
        "pad_token resize_vocab default_system system_prompt chat_template_jinja"
    ),
    "because rows are texts: no pictures, no sound, no calls of tools": "media_dir tool_format",
    "instead cctuning prepare clean leaves out what is there twice": "dataset_exact_deduplication",
    # Model
    "because a model that has been trained is fine-tuned, not random weights": (
        "train_from_scratch random_init_weights"
    ),
    "instead dtype=bfloat16, which keeps the weights themselves so": "pure_bf16 bfloat16",
    "instead attn_implementation=flash_attention_2, sdpa or eager": (
        "flash_attn flash_attention use_flash_attention use_flash_attn xformers_attention sdp_attention"
    ),
    "because its kernels run on GPUs alone, where no connected model has been compared with them": (
        "use_liger_kernel enable_liger_kernel liger liger_kernel_config use_kernels"
    ),
    "because it replaces the forward that the connection is made in": (
        "use_unsloth unsloth torch_compile shift_attn plugins"
    ),
    "instead a config.json of the base model that says so": "rope_scaling rope_type",
    "instead lora.enabled=true trains adapters, and false all weights": (
        "finetuning_type adapter freeze_trainable_layers freeze_trainable_modules unfrozen_parameters "
        "lora_target_linear"
    ),
    "because the fit and the export merge an adapter, and this would replace weights of its base": (
        "modules_to_save lora_modules_to_save additional_target use_vblora pissa_init init_lora_weights "
        "peft_init_lora_weights loftq_config"
    ),
    "instead lora.enabled=true on the merged model: one adapter is trained, and merged": (
        "adapter_name_or_path lora_model_dir"
    ),
    "instead load_in_4bit=true lora.enabled=true, for adapters on weights of four bits (bitsandbytes)": (
        "load_in_8bit quantization_bit quantization_method quantization_config bnb_config use_qlora qlora"
    ),
    "instead bf16=true: weights of four bits are computed with in what the rest is": (
        "bnb_4bit_compute_dtype bnb_4bit_quant_storage"
    ),
    "because it is another optimizer than the installed ones: optim=NAME takes those of transformers": (
        "use_galore use_badam use_apollo use_adam_mini use_muon loraplus_lr_ratio loraplus_lr_embedding "
        "loraplus_lr"
    ),
    # Launch
    "instead the launcher says it: accelerate launch --config_file recipes/accelerate/zero2.yaml": (
        "deepspeed fsdp fsdp_config ddp_timeout ddp_backend num_gpus num_processes tensor_parallel_size "
        "context_parallel_size"
    ),
    "instead bf16=true, or dtype=float16": "fp16 tf32 half",
    "instead gradient_checkpointing_reentrant=true or false": (
        "gradient_checkpointing_kwargs activation_checkpointing_kwargs use_reentrant_gc"
    ),
    "because it is no setting but what the command does": "do_train do_predict stage plot_loss rl",
    "because it is another training than supervised fine-tuning": (
        "pref_beta pref_loss ref_model reward_model beta num_generations"
    ),
    "instead gradient_checkpointing=false": "disable_gradient_checkpointing",
    # Optimisation
    "instead warmup_ratio, a share of all steps": "warmup_steps num_warmup_steps",
    "instead total_batch_size=N, and per_device_train_batch_size=M that fits": "auto_find_batch_size",
    # What is written
    "instead resume=never": "overwrite_output_dir",
    "because a checkpoint without its optimizer is none to go on from": "save_only_model",
    "instead save_strategy=steps and save_steps=N": "saves_per_epoch save_every",
    "instead report_to=wandb, and the tracker's own environment variables": (
        "wandb_project wandb_entity wandb_name wandb_run_id use_wandb"
    ),
    "because recipe.yaml would hold it: hf auth login, or HF_TOKEN in the environment": "hub_token",
    "because push_to_hub=true uploads once, at the end: a checkpoint's optimizer states stay here": (
        "hub_strategy hub_always_push hub_revision"
    ),
    # Evaluation
    "instead eval_data=FILE or eval_share=0.1, and eval_steps=N unless each epoch is meant": (
        "eval_strategy evaluation_strategy do_eval evals_per_epoch"
    ),
    "instead eval_benchmarks=[NAME]: metric_for_best_model=eval_NAME_none then goes by its score": (
        "greater_is_better compute_metrics predict_with_generate eval_table_size do_bench_eval bench_dataset "
        "lm_eval_tasks do_causal_lm_eval eval_causal_lm_metrics"
    ),
    "instead per_device_train_batch_size, which is that of evaluations too": (
        "per_device_eval_batch_size eval_batch_size"
    ),
    "instead benchmarks=NAME of cctuning evaluate": "tasks task eval_dataset_name",
    "instead model=, dtype= and other keys of cctuning evaluate, which loads the model itself": "model_args",
    "instead benchmarks=[FILE.yaml] of cctuning evaluate, a benchmark of one's own": "include_path",
    "instead template=NAME, and raw for none": "apply_chat_template",
    "because questions are asked in the papers' words, without a system message": "system_instruction",
    "because answers are greedy, by the rules of the model's generation config": "gen_kwargs",
    "because examples (shots=N) stand before the question, in the same turn": "fewshot_as_multiturn",
    "because outputs inside of layers are read or changed, of which vLLM gives none (evaluate and serve take "
    "engine=vllm, and chat server=ADDRESS)": "engine",
    "because every response is written to samples_*.jsonl": "log_samples predict_only write_out",
    "because all results are files in output_dir": "wandb_args trackio_args",
    "instead limit=N, the first questions of each language": "samples",
    "instead batch_size=N, the most prompts in a batch": "max_batch_size",
    "because a folder goes on with what it holds: resume=auto": "use_cache cache_requests",
}
# Their name -> the reason.
NOT_HERE = {name: reason for reason, names in _NOT_HERE.items() for name in names.split()}


def ours_of(name: str, known: Iterable[str]) -> str | None:
    """The key in `known` that is another program's `name`: of the same name, or of another; None for none."""
    keys = list(known)
    return name if name in keys else next((key for key in keys if (name, key) in ALIASES), None)
