"""Fine-tunes a model with the cross-lingual connection, or without it (ML-SFT)."""

import dataclasses
import importlib.util
import json
import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast
from transformers import set_seed

from cctuning.analysis.study_files import QUESTION_FILE
from cctuning.analysis.study_files import SETTINGS_FILE as PROBE_FILE
from cctuning.commands.hub_upload import RUN_FILES, files_of, make_repository, upload
from cctuning.commands.prompts import choose_prompts
from cctuning.commands.result import Result
from cctuning.commands.run import Stopped
from cctuning.commands.schemas import ConnectionRecipe, TrainRecipe
from cctuning.commands.train_examples import REJECTS_FILE, load_examples, rows_of_step, stream_examples
from cctuning.commands.train_setup import (
    load_base_model,
    lora_config,
    make_trainer,
    source_options,
    stored_dtype,
    training_arguments,
    training_step,
    weights_dtype,
)
from cctuning.commands.training_scores import BenchmarkScores, benchmark_scores
from cctuning.connection.adapters import make_plain_adapter
from cctuning.data.encoding import Example, check_vocabulary, languages_of, untranslated, without_response
from cctuning.data.preview import example_panel, rows_table
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import Problem, rejected_text, write_rejects
from cctuning.data.sources import check_output_dir
from cctuning.data.unknown_tokens import prompts_by_language, unknown_tokens_warning
from cctuning.distributed.engines import current_engine, join_processes
from cctuning.distributed.launch_checks import (
    DIFFERENTIATED_TWICE,
    READ_TWICE,
    check_engine,
    check_launch,
    unfinished_builds,
)
from cctuning.distributed.rank import process_number
from cctuning.evaluation.asking.store import SETTINGS_FILE as EVALUATION_FILE
from cctuning.generation.rules import prepare_to_save
from cctuning.pretrained.architectures import architecture_of
from cctuning.pretrained.four_bits import check_installed, check_not_quantised
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.identity import ORIGIN_FILE, identity_of
from cctuning.pretrained.kinds import CARD_FILE, kind_of
from cctuning.pretrained.loading import check_model, load_generation_config, load_tokenizer
from cctuning.pretrained.names import naming_model
from cctuning.reporting.settings_table import settings_table
from cctuning.settings.recipe import save_recipe
from cctuning.tools.console import new_console
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import finish
from cctuning.tools.package_data import accelerate_file
from cctuning.training.callbacks import DecisionMakerCheck
from cctuning.training.checkpoints import checkpoint_folder, write_failures_explained
from cctuning.training.figures import plot_layers, plot_loss
from cctuning.training.interruption import StopOnSignal
from cctuning.training.memory import UnknownMemoryError, device_at_hand, memory_report, memory_warning
from cctuning.training.metrics import EVALUATED_LOSS, METRICS_FILE, read_metrics
from cctuning.training.model_cards import training_card
from cctuning.training.pickles import restricted_loading
from cctuning.training.preflight import (
    check_attention,
    check_limits,
    check_positions,
    check_saving,
    check_targets,
)
from cctuning.training.runs import (
    FINISHED_FILE,
    RECIPE_FILE,
    check_base_model,
    check_same_engine,
    checkpoint_to_resume,
    clear_output_dir,
    finished_run,
)
from cctuning.training.streaming import StreamedExamples

# Commands that leave a recipe of theirs under the name of a run's, by another of their files.
_OTHERS = {
    EVALUATION_FILE: "cctuning evaluate",
    **dict.fromkeys((PROBE_FILE, QUESTION_FILE), "cctuning probe"),
}

console = new_console(highlight=True)


def train_model(recipe: TrainRecipe) -> Result:
    """Trains, and writes the model and what is to know about it to `output_dir`.

    Raises `ValueError` or `OSError` for rows, a model or a launch that cannot be used, and `Stopped` after a
    signal, once what was trained is saved.
    """
    console.quiet = process_number() != 0  # the others have the same to say
    check(recipe)
    if recipe.push_to_hub and not recipe.dry_run and (report := finished_run(recipe.output_dir, recipe)):
        return push_finished(recipe, report)
    name, where_from = recipe.model_name_or_path, source_options(recipe)
    with naming_model("model_name_or_path", name):
        config = check_model(name, **where_from)
        check_not_quantised(config)
        if recipe.connection.enabled:
            architecture_of(config.get_text_config().model_type)
        tokenizer = load_tokenizer(name, **where_from)
        if kind_of(model_folder(name)).run:
            console.warn(
                f"model_name_or_path={name} is a connected model: this run begins with its weights, and "
                f"{'a connection that is new' if recipe.connection.enabled else 'without its connection'}"
            )
    prompts = choose_prompts(tokenizer, recipe.template, recipe.template_arguments, warn=console.warn)
    examples, held_out, problems = load_examples(recipe, prompts)
    say_what_is_odd(examples, tokenizer)
    check_vocabulary(
        [*examples, *held_out],
        tokenizer,
        pad_token_id=prompts.pad_token_id,
        vocab_size=config.get_text_config().vocab_size,
    )
    scores = benchmark_scores(recipe, prompts, config)
    errors = preflight(recipe, config, prompts, [*examples, *held_out])
    if recipe.dry_run:
        show(recipe, examples, held_out, problems, tokenizer, scores)
        for error in errors:
            console.say(f"This would stop the run: {error}")
        return Result()
    if errors:
        raise errors[0]

    with only_run_in(recipe.output_dir) if process_number() == 0 else nullcontext():
        report = fine_tune(recipe, prompts, examples, held_out, problems, scores)
    return Result(Path(recipe.output_dir), report)


def fine_tune(
    recipe: TrainRecipe,
    prompts: PromptFormat,
    examples: list[Example],
    held_out: list[Example],
    problems: list[Problem],
    scores: BenchmarkScores | None,
) -> dict[str, Any]:
    """Trains, from a checkpoint where there is one; the first process returns the report."""
    origin = origin_of(recipe)
    checkpoint = find_checkpoint(recipe, origin)
    repository = make_repository(recipe, recipe.output_dir) if process_number() == 0 else None
    show_memory(recipe, examples, warn_only=True)
    # Before the model: it is these arguments that let ZeRO-3 spread the weights while they are loaded.
    arguments = training_arguments(recipe)
    set_seed(recipe.seed)
    model = load_base_model(recipe, prompts)
    trained_on = stream_examples(recipe, prompts, examples) if recipe.streaming else examples
    trainer = make_trainer(recipe, arguments, trained_on, held_out, prompts.tokenizer, model, scores)
    check_engine(current_engine(), trainer.accelerator)
    if trainer.accelerator.is_main_process:
        write_beginning(recipe, problems, origin)
    with StopOnSignal() as stop, restricted_loading(deepspeed=trainer.is_deepspeed_enabled):
        trainer.add_callback(stop)
        trainer.add_callback(DecisionMakerCheck(console.warn))
        result = trainer.train(resume_from_checkpoint=checkpoint)
    if stop.stopped:
        raise Stopped(stop.received, how_to_go_on(recipe, trainer.state))
    with write_failures_explained(recipe.output_dir):
        trainer.save_model(recipe.output_dir)
        if recipe.lora.enabled and trainer.accelerator.is_main_process:
            make_plain_adapter(recipe.output_dir)
    if not trainer.accelerator.is_main_process:
        return {}
    times = {name: value for name, value in result.metrics.items() if name != "train_loss"}
    if checkpoint is not None:  # the seconds are of the last part alone, and these divide all rows by them
        del times["train_samples_per_second"], times["train_steps_per_second"]
    report = finished_report(recipe, trained_on, times, trainer.state)
    finish_run(recipe, report)
    push(recipe, repository)
    return report


def push_finished(recipe: TrainRecipe, report: dict[str, Any]) -> Result:
    """Uploads a run that an earlier call has finished."""
    if process_number() == 0:
        with only_run_in(recipe.output_dir):
            push(recipe, make_repository(recipe, recipe.output_dir))
    return Result(Path(recipe.output_dir), report)


def push(recipe: TrainRecipe, repository: str | None) -> None:
    """Uploads a finished run to `repository`, where there is one."""
    if repository is None:
        return
    if recipe.lora.enabled and Path(recipe.model_name_or_path).exists():
        console.warn(
            f"the base model of the adapter is {recipe.model_name_or_path}, of this machine alone: elsewhere "
            "the adapter does not load (cctuning prepare model merges the two)"
        )
    files = files_of(recipe.output_dir, RUN_FILES)
    message = f"{recipe.run_name}, as cctuning train has written it"
    address = upload(repository, files, message=message, what=recipe.output_dir)
    console.say(f"Uploaded to {address}")


def preflight(
    recipe: TrainRecipe, config: Any, prompts: PromptFormat, examples: list[Example]
) -> list[Exception]:
    """Errors that would come later, with the model loaded or trained; what is done otherwise is said."""
    generation_config = load_generation_config(recipe.model_name_or_path, **source_options(recipe))
    errors: list[Exception] = []

    @contextmanager
    def collecting() -> Iterator[None]:
        try:
            yield
        except (ValueError, ImportError) as error:
            errors.append(error)

    with collecting():
        check_positions(examples, config)
    if recipe.streaming:  # a row that is read later may have as many tokens
        with collecting():
            check_limits(
                {name: getattr(recipe, name) for name in ("cutoff_len", "english_cutoff_len")}, config
            )
    with collecting():
        check_attention(recipe.attn_implementation)
    if recipe.load_in_4bit:
        with collecting():
            check_installed()
    if recipe.lora.enabled and recipe.lora.target_modules != ["all-linear"]:
        with collecting():
            check_targets(config, recipe.lora.target_modules, trust_remote_code=recipe.trust_remote_code)
    with collecting():
        if names := prepare_to_save(generation_config, prompts):
            console.warn(f"generation_config.json is not valid with {', '.join(names)}: left out when saved")
        check_saving(prompts.tokenizer, config, generation_config)
    dtype = weights_dtype(recipe, config)
    if recipe.dtype == "auto" and dtype != stored_dtype(config):
        console.say(f"dtype=auto: weights stored in {stored_dtype(config)} are trained in {dtype}")
    return errors


def first_set(connection: ConnectionRecipe, *names: str) -> str:
    """The first of these options that a recipe uses, by the name of its key; "" for none."""
    used = (f"connection.{name}" for name in names if connection.enabled and getattr(connection, name))
    return next(used, "")


def check(recipe: TrainRecipe) -> None:
    """Raises `ValueError` for what would stop the run later, once rows are read and a model is loaded."""
    if not recipe.dry_run:  # a dry run may show what would happen on a machine with more GPUs
        check_launch(
            use_cpu=recipe.use_cpu,
            differentiated_twice=first_set(recipe.connection, *DIFFERENTIATED_TWICE),
            read_twice=first_set(recipe.connection, *READ_TWICE),
        )
        for build in unfinished_builds():
            console.warn(build)
    recipe.accumulation_steps(current_engine().processes)
    if recipe.eval_benchmarks and current_engine().name not in ("one", "ddp"):
        raise ValueError(
            f"eval_benchmarks has not been tried under {current_engine()}, whose weights are the engine's to "
            "give: leave it out, and evaluate the checkpoints, or train on one device or under DDP"
        )
    if recipe.load_best_model_at_end and current_engine().shards_weights:
        raise ValueError(
            f"load_best_model_at_end=True has not been tried under {current_engine()}, which has checkpoints "
            "of its own kind: leave it out, and evaluate the checkpoints"
        )
    if recipe.load_in_4bit and current_engine().name not in ("one", "ddp"):
        raise ValueError(
            f"load_in_4bit=True packs weights in bytes, which {current_engine()} cannot share out: train on "
            f"one device or under DDP ({accelerate_file('ddp')})"
        )
    check_base_model(recipe.model_name_or_path, recipe.output_dir)
    for mark, command in _OTHERS.items():
        if (Path(recipe.output_dir) / mark).exists():
            raise ValueError(
                f"output_dir={recipe.output_dir} holds {mark} of {command}, and {RECIPE_FILE} there says how "
                "that was made: choose another output_dir"
            )
    check_output_dir([*recipe.data, *recipe.english, *recipe.eval_data], recipe.output_dir)
    for name in recipe.report_to:
        if name != "none" and importlib.util.find_spec(name) is None:
            raise ValueError(f"report_to={name} needs a package that is missing: pip install {name}")


def say_what_is_odd(examples: list[Example], tokenizer: Any) -> None:
    """Prints what may be wrong with rows that can be trained on."""
    odd = {
        "Rows whose English prompt is the prompt, not translated perhaps": untranslated(examples),
        "Rows without a response, for connection.alignment alone": without_response(examples),
    }
    for what, of_language in odd.items():
        if of_language:
            counts = ", ".join(f"{count:,} in {language}" for language, count in of_language.items())
            console.say(f"{what}: {counts}")
    if unknown := unknown_tokens_warning(tokenizer, prompts_by_language(examples)):
        console.warn(unknown)


def show(
    recipe: TrainRecipe,
    examples: list[Example],
    held_out: list[Example],
    problems: list[Problem],
    tokenizer: Any,
    scores: BenchmarkScores | None,
) -> None:
    """Prints what a run would do, without doing it."""
    processes = current_engine().processes
    accumulation, per_step = recipe.accumulation_steps(processes), rows_of_step(recipe)
    per_epoch = math.ceil(len(examples) / per_step)
    steps = recipe.max_steps or math.ceil(per_epoch * recipe.num_train_epochs)
    console.print(rows_table(examples, problems))
    console.print(settings_table(recipe))
    longest_first = sorted(examples, key=lambda example: example.truncated, reverse=True)
    console.print(example_panel(longest_first[0] if longest_first[0].truncated else examples[0], tokenizer))
    show_memory(recipe, examples, warn_only=False)
    if held_out:
        when = "each epoch" if recipe.eval_steps is None else f"every {recipe.eval_steps:,} steps"
        more = f", and {scores.questions:,} questions are asked: {', '.join(scores.names)}" if scores else ""
        console.say(f"The loss is measured on {len(held_out):,} other rows {when}{more}")
    passes = f"{accumulation} pass{'es' * (accumulation > 1)} x {processes} process{'es' * (processes > 1)}"
    known = f"{per_epoch:,} per epoch"
    if recipe.streaming:
        known = f"read in blocks of {recipe.buffer_size:,}, of which the first is shown"
    console.say(
        f"{steps:,} steps of {per_step} rows, {known}: "
        f"{recipe.per_device_train_batch_size} rows x {passes} a step. Nothing was trained."
    )


def show_memory(recipe: TrainRecipe, examples: list[Example], *, warn_only: bool) -> None:
    """The memory of each device; with `warn_only` nothing unless the run will not fit into a GPU."""
    device = device_at_hand(use_cpu=recipe.use_cpu, processes=current_engine().processes)
    if warn_only and (device is None or not device.gpu):
        return
    lora = lora_config(recipe)
    try:
        step = training_step(recipe, examples, lora)
        if device is None or not warn_only:
            console.print(memory_report(step, current_engine(), device, lora=lora))
        elif warning := memory_warning(step, current_engine(), device, lora=lora):
            console.print(warning)
    except UnknownMemoryError as error:
        if not warn_only:
            console.say(f"No memory estimate: {error}")


def find_checkpoint(recipe: TrainRecipe, origin: dict[str, Any]) -> str | None:
    """The checkpoint to resume from. Raises `ValueError` where `output_dir` cannot be gone on with."""
    state = join_processes(use_cpu=recipe.use_cpu)
    checkpoint = None
    # The first process reads every byte of a checkpoint before it counts; the others get its step.
    if state.is_main_process:
        checkpoint = checkpoint_to_resume(
            recipe.output_dir,
            dataclasses.asdict(recipe),
            recipe.resume,
            schema=TrainRecipe,
            origin=origin,
            warn=console.warn,
        )
        if checkpoint is not None:
            note = check_same_engine(checkpoint, current_engine())
            console.say(f"Continuing from {checkpoint.path}")
            if note:
                console.warn(note)
    step = int(broadcast(torch.tensor(-1 if checkpoint is None else checkpoint.step, device=state.device)))
    if step < 0:
        return None
    return str(checkpoint_folder(recipe.output_dir, step)) if recipe.resume == "auto" else recipe.resume


def origin_of(recipe: TrainRecipe) -> dict[str, Any]:
    """The origin of a run beside its recipe: the base model's identity, and the rows of a step."""
    return {
        "base_model": identity_of(recipe.model_name_or_path, revision=recipe.model_revision),
        "rows_of_a_step": rows_of_step(recipe),
    }


def write_beginning(recipe: TrainRecipe, problems: list[Problem], origin: dict[str, Any]) -> None:
    """Writes what stands in `output_dir` before its first step, once all else is ready for it."""
    output_dir = Path(recipe.output_dir)
    clear_output_dir(output_dir, recipe.resume)
    save_recipe(recipe, output_dir / RECIPE_FILE)
    write_whole(output_dir / ORIGIN_FILE, to_json(origin, indent=2) + "\n")
    if recipe.streaming:  # which adds to the file as it comes to the rows, again after an interruption
        (output_dir / REJECTS_FILE).unlink(missing_ok=True)
    if problems:
        write_rejects(problems, output_dir / REJECTS_FILE)
        console.say(f"{rejected_text(problems)} left out, listed in {output_dir / REJECTS_FILE}")


def how_to_go_on(recipe: TrainRecipe, state: Any) -> str:
    """The message when a signal has stopped a run."""
    step = state.global_step
    again = "the same command" if recipe.resume == "auto" else "the same command with resume=auto"
    return (
        f"stopped at step {step:,} of {state.max_steps:,}; {checkpoint_folder(recipe.output_dir, step)} is "
        f"complete, and {again} goes on from there"
    )


def finished_report(
    recipe: TrainRecipe, examples: list[Example] | StreamedExamples, times: dict[str, float], state: Any
) -> dict[str, Any]:
    """Facts about a finished run: steps, rows, languages, the last loss (nats), times.

    The rows of a stream are all that were trained on, as often as they were.

    Where there are other rows to measure it on, also `eval_loss` (nats) of the model that is saved, the
    metric that the best one is chosen by, and the step that they are of.
    """
    losses = [line["loss"] for line in read_metrics(Path(recipe.output_dir) / METRICS_FILE)]
    loss = losses[-1] if losses else None  # None: no row that was trained on had a response
    facts: dict[str, Any] = {"steps": state.global_step, "rows": len(examples)}
    if isinstance(examples, StreamedExamples):
        facts |= {"languages": sorted(examples.seen), "rows_left_out": examples.rejected}
    else:
        facts["languages"] = languages_of(examples)
    evaluations = [line for line in state.log_history if EVALUATED_LOSS in line]
    if evaluations:
        metric = recipe.metric_for_best_model
        choose = min if metric == EVALUATED_LOSS else max
        best = choose(evaluations, key=lambda line: line[metric])
        saved = best if recipe.load_best_model_at_end else evaluations[-1]
        facts |= {name: saved[name] for name in (EVALUATED_LOSS, metric)} | {"eval_step": saved["step"]}
    return {**facts, "loss": loss, **times}


def finish_run(recipe: TrainRecipe, report: dict[str, Any]) -> None:
    """Figures, the model card, and last the report that marks the run as finished."""
    output_dir = Path(recipe.output_dir)
    logged = read_metrics(output_dir / METRICS_FILE)
    evaluated = read_metrics(output_dir / METRICS_FILE, EVALUATED_LOSS)
    title = f"{recipe.run_name}: training loss"
    plot_loss(logged, output_dir / "training_loss.png", evaluated=evaluated, title=title)
    plot_layers(logged, output_dir / "chosen_layers.png")
    card = training_card(
        dataclasses.asdict(recipe), languages=report["languages"], rows=report["rows"], loss=report["loss"]
    )
    (output_dir / CARD_FILE).write_text(card, encoding="utf-8")
    finish(output_dir, FINISHED_FILE, json.dumps(report, indent=2) + "\n")
    console.say(f"{output_dir} holds the model, {METRICS_FILE} and training_loss.png")
    if recipe.connection.enabled:
        console.say(f"Next: cctuning fit {shlex.quote(f'model={output_dir}')}")
