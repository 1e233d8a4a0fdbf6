"""Evaluates a model on multilingual benchmarks: responses, scores with their uncertainty, and tables."""

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cctuning.commands.hub_upload import RESULT_FILES, files_of, make_repository, repository_name, upload
from cctuning.commands.model_engine import check_engine, load_in_engine
from cctuning.commands.prompts import choose_prompts, choose_rules, load_without_weights
from cctuning.commands.result import Result
from cctuning.commands.schemas import EvaluateRecipe
from cctuning.data.prompts import PromptFormat
from cctuning.data.unknown_tokens import unknown_tokens_warning
from cctuning.distributed.engines import join_equals
from cctuning.distributed.sharing import Shard, from_the_first
from cctuning.evaluation.asking.preview import question_panel, tasks_table
from cctuning.evaluation.asking.responses import GenerationSettings, ask
from cctuning.evaluation.asking.samples import make_samples
from cctuning.evaluation.asking.shots import NO_SHOTS, draw_shots
from cctuning.evaluation.asking.store import StoredTask, open_folder, read_task, stored_speeds, write_samples
from cctuning.evaluation.asking.tasks import Task, Translate, joined_options_warning, make_task, split_faulty
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.selection import (
    ItemSet,
    missing_warning,
    no_known_issues_warning,
    read_item_sets,
)
from cctuning.evaluation.results.folder import write_results
from cctuning.evaluation.results.model_index import with_scores
from cctuning.evaluation.results.results import summarise
from cctuning.evaluation.results.tables import screen_table
from cctuning.generation.modes import choose_mode, folder_name
from cctuning.pretrained.identity import identity_of, model_settings
from cctuning.pretrained.kinds import CARD_FILE
from cctuning.pretrained.loading import positions_of
from cctuning.pretrained.names import beside_model
from cctuning.reporting.settings_table import settings_table
from cctuning.settings.changes import ROUNDING
from cctuning.settings.recipe import save_recipe
from cctuning.tools.console import new_console
from cctuning.tools.files import write_whole
from cctuning.tools.locks import only_run_in, only_user_of
from cctuning.tools.progress import progress_bar
from cctuning.translation import load_translator, translate_all

TRANSLATIONS_FILE = "translations.jsonl"

console = new_console()


def evaluate_model(recipe: EvaluateRecipe) -> Result:
    """Asks the model the questions, and writes responses, scores and tables.

    Raises `ValueError` or `OSError` for a model, questions or settings that cannot be used.
    """
    state = join_equals("evaluate", use_cpu=recipe.use_cpu)
    if recipe.push_to_hub and not (Path(recipe.model) / CARD_FILE).is_file():
        raise ValueError(
            f"push_to_hub=true puts scores into the model's card, and model={recipe.model} is no folder with "
            f"a {CARD_FILE}: hf upload REPOSITORY FOLDER puts results anywhere else"
        )
    shard = Shard(state.process_index, state.num_processes)
    console.quiet = not state.is_main_process
    tokenizer, config = load_without_weights(recipe.model, trust_remote_code=recipe.trust_remote_code)
    mode = choose_mode(recipe.model, recipe.inference)
    check_engine(recipe, mode, shard)
    prompts = choose_prompts(tokenizer, recipe.template, recipe.template_arguments, warn=console.warn)
    rules = choose_rules(recipe.model, prompts, trust_remote_code=recipe.trust_remote_code, warn=console.warn)
    sets = read_item_sets(
        [find_benchmark(name) for name in recipe.benchmarks],
        recipe.data,
        languages=recipe.languages,
        limit=recipe.limit,
        leave_out_faults=recipe.leave_out_faults,
    )
    note_what_may_surprise(recipe, sets)
    name = folder_name(recipe.run_name, mode, recipe.prompting)
    folder = Path(recipe.output_dir or beside_model(recipe.model, "evaluation", name))
    with only_run_in(folder) if state.is_main_process and not recipe.dry_run else nullcontext():
        # What translates is kept nowhere: it may be a model, which has to go before the other one comes.
        tasks, sets = make_tasks(
            recipe,
            mode,
            sets,
            prompts,
            positions_of(config),
            translation(recipe, folder, shard, state.device) if mode == "translated" else None,
        )
        if unknown := unknown_tokens_warning(tokenizer, {task.name: task.prompts() for task in tasks}):
            console.warn(unknown)
        if recipe.log_likelihood and (joined := joined_options_warning(tasks)):
            console.warn(joined)
        if recipe.dry_run:
            show(recipe, mode, folder, tasks, sets, tokenizer)
            return Result()
        repository = make_repository(recipe, recipe.model) if state.is_main_process else None
        model = load_in_engine(recipe, mode, state.device)
        pairs = list(zip(tasks, sets, strict=True))
        settings = how_asked(recipe, mode) | {"generation_rules": rules}
        results = evaluate(recipe, mode, folder, model, prompts, pairs, settings, shard)
        if repository is not None:
            push(repository, Path(recipe.model), folder, results)
        return Result(folder, results)


def note_what_may_surprise(recipe: EvaluateRecipe, sets: Sequence[ItemSet]) -> None:
    """Says where settings have no effect, and where means are over other languages than the papers'."""
    notes = (
        no_known_issues_warning(recipe.data, recipe.leave_out_faults),
        missing_warning(sets, recipe.languages, recipe.data),
    )
    for note in filter(None, notes):
        console.warn(note)
    others: dict[str, list[str]] = {}
    for item_set in sets:
        if item_set.language not in item_set.benchmark.languages:
            others.setdefault(item_set.benchmark.title, []).append(item_set.language)
    for title, languages in others.items() if not recipe.languages else ():
        listed = ", ".join(languages)
        console.say(f"{title}: {listed} beside the paper's languages; languages=[...] chooses")


def translation(recipe: EvaluateRecipe, folder: Path, shard: Shard, device: Any) -> Translate:
    """The function that translates prompts: in the first process, with a cache in `folder`, for all."""
    translates_itself = recipe.translator.kind == "self"
    if not translates_itself and recipe.translator.model is None:
        raise ValueError(
            f"translator.kind={recipe.translator.kind} needs translator.model=: a "
            + ("file of translations" if recipe.translator.kind == "file" else "folder or hub name")
        )
    translator = None
    if shard.rank == 0 and not recipe.dry_run:
        translator = load_translator(
            recipe.translator.kind,
            model=recipe.translator.model or recipe.model,
            device=device,
            template=recipe.template,
            template_arguments=None if recipe.translator.model else recipe.template_arguments,
            trust_remote_code=recipe.trust_remote_code,
        )

    def translate(texts: Sequence[str], source: str, target: str) -> list[str | None]:
        if recipe.dry_run:
            return list(texts)
        translated: list[str | None] = []
        if translator is not None:
            with progress_bar(f"{source} -> {target}", len(texts), console=console) as bar:
                translations = translate_all(
                    translator,
                    texts,
                    sources=[source] * len(texts),
                    target=target,
                    cache=folder / TRANSLATIONS_FILE,
                    progress=bar.update,
                )
            faulty = [translation for translation in translations if translation.faults]
            if faulty:
                console.warn(
                    f"{len(faulty):,} of {len(translations):,} translations from {source} are faulty "
                    f"({faulty[0].faults[0]}); {folder / TRANSLATIONS_FILE} holds them"
                )
            translated = [translation.text or None for translation in translations]
        return list(from_the_first(translated, shard, device))

    return translate


def make_tasks(
    recipe: EvaluateRecipe,
    mode: str,
    sets: Sequence[ItemSet],
    prompts: PromptFormat,
    positions: int | None,
    translate: Translate | None,
) -> tuple[list[Task], list[ItemSet]]:
    """The tasks of each set of items, and the sets less the questions that cannot be asked."""
    made = []
    shots = [NO_SHOTS] * len(sets)
    if recipe.shots:
        shots = draw_shots(sets, recipe.shots_data, recipe.shots, recipe.shots_seed)
    for item_set, before in zip(sets, shots, strict=True):
        task = make_task(
            item_set, prompts, mode=mode, prompting=recipe.prompting, translate=translate, shots=before
        )
        made.append(
            split_faulty(
                task,
                item_set,
                prompts,
                positions=positions,
                new_tokens=recipe.max_new_tokens,
                leave_out=recipe.on_bad_prompt == "leave_out",
            )
        )
    return [task for task, _ in made], [item_set for _, item_set in made]


def evaluate(
    recipe: EvaluateRecipe,
    mode: str,
    folder: Path,
    model: Any,
    prompts: PromptFormat,
    tasks: Sequence[tuple[Task, ItemSet]],
    settings: dict[str, Any],
    shard: Shard,
) -> dict[str, Any]:
    """Asks everything, and writes samples, results and tables; returns the results.

    `settings`: all that responses depend on beside the questions. Of several processes the first one writes
    and returns them.
    """
    known: dict[str, StoredTask] = {}
    if shard.rank == 0:
        stored = {
            task.name: StoredTask(task.benchmark.name, task.language, task.fingerprint(), item_set.left_out)
            for task, item_set in tasks
        }
        known = open_folder(folder, settings, stored, resume=recipe.resume, warn=console.warn)
        save_recipe(recipe, folder / "recipe.yaml")
    how = GenerationSettings(
        recipe.max_new_tokens, recipe.batch_size, recipe.batch_tokens, recipe.log_likelihood
    )
    total = sum(len(task.questions) for task, _ in tasks)
    samples: dict[str, list[dict[str, Any]]] = {}
    with progress_bar(f"questions, {mode}", total, console=console) as bar:
        for task, _ in tasks:
            responses = ask(model, prompts, task, folder, how, shard=shard, progress=bar.advance)
            if shard.rank == 0:
                samples[task.name] = make_samples(task, responses, prompting=recipe.prompting)
                write_samples(folder, task.name, samples[task.name])
    return report(recipe, folder, settings, known, samples) if shard.rank == 0 else {}


def how_asked(recipe: EvaluateRecipe, mode: str) -> dict[str, Any]:
    """All that responses depend on beside the questions, be it by rounding: what a folder is compared in."""
    settings: dict[str, Any] = {
        **model_settings(recipe.model),
        "inference": mode,
        "prompting": recipe.prompting,
        "max_new_tokens": recipe.max_new_tokens,
        "template": recipe.template,
        "template_arguments": dict(recipe.template_arguments),
        "dtype": recipe.dtype,
        "log_likelihood": recipe.log_likelihood,
    }
    settings |= {name: getattr(recipe, name) for name in sorted(ROUNDING["evaluate"])}
    if recipe.shots:  # folders of before there were any go on
        settings |= {name: getattr(recipe, name) for name in ("shots", "shots_data", "shots_seed")}
    if mode == "translated":
        settings["translator"] = dataclasses.asdict(recipe.translator)
        if recipe.translator.kind != "file" and recipe.translator.model:  # a file's texts are in the prompts
            settings["translator"]["model"] = identity_of(recipe.translator.model)
    return settings


def report(
    recipe: EvaluateRecipe,
    folder: Path,
    settings: dict[str, Any],
    known: dict[str, StoredTask],
    samples: dict[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    """Writes and prints what is made of all finished tasks of the folder, those of earlier calls too."""
    earlier = {name: read_task(folder, name) for name in known if name not in samples}
    finished = {
        (known[name].benchmark, known[name].language): rows
        for name, rows in (earlier | samples).items()
        if rows
    }
    left_out = {(task.benchmark, task.language): task.left_out for task in known.values() if task.left_out}
    config = settings | {"run_name": recipe.run_name, "model_path": recipe.model, "data": recipe.data}
    config |= {"limit": recipe.limit, "leave_out_faults": recipe.leave_out_faults}
    results = summarise(finished, config=config, left_out=left_out, speeds=stored_speeds(folder))
    write_results(folder, results)
    console.print(screen_table(results, width=console.width))
    console.say(f"{folder} holds results.json, all samples, tables and a figure")
    return results


def push(repository: str, model: Path, folder: Path, results: dict[str, Any]) -> None:
    """Uploads the results in `folder` to the model's repository, and its card with the scores in it."""
    card = model / CARD_FILE
    with only_user_of(card):  # another evaluation of the model may end now
        text = with_scores(card.read_text(encoding="utf-8"), results, model=repository_name(model))
        write_whole(card, text)
        files = files_of(folder, RESULT_FILES, into=f"evaluation/{folder.name}") | {CARD_FILE: card}
        address = upload(repository, files, message=f"Evaluation {folder.name}", what=str(folder))
    console.say(f"Uploaded to {address}")


def show(
    recipe: EvaluateRecipe,
    mode: str,
    folder: Path,
    tasks: Sequence[Task],
    sets: Sequence[ItemSet],
    tokenizer: Any,
) -> None:
    """Prints what an evaluation would ask, without asking it."""
    console.print(tasks_table(tasks, sets))
    console.print(settings_table(recipe, inference=mode, output_dir=str(folder)))
    console.print(question_panel(tasks[0], tokenizer))
    translated = " Parallel prompts are shown before their translation." if mode == "translated" else ""
    console.print(f"Nothing was asked.{translated}")
