"""Draws what CC-Tuning does: representations of parallel sentences, chosen layers, losses of several runs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from cctuning.commands.prompts import choose_prompts, load_without_weights
from cctuning.commands.result import Result
from cctuning.commands.schemas import VisualizeRecipe
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import read_rows, rejected_text
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.selection import read_item_sets
from cctuning.generation.modes import choose_mode, set_mode
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.kinds import kind_of
from cctuning.pretrained.names import naming_model
from cctuning.reporting.tables import RecordTable
from cctuning.tools.console import new_console
from cctuning.tools.extras import extra
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import begin, finish
from cctuning.tools.progress import progress_bar
from cctuning.transform.affine import transform_of
from cctuning.visualization.chosen_layers import LayerChoices, choices_csv, read_choices
from cctuning.visualization.layer_figure import plot_choices
from cctuning.visualization.loss_figure import plot_losses
from cctuning.visualization.losses import Losses, check_tokens, losses_csv, read_losses
from cctuning.visualization.map_files import FILES, MAPS_FILE, write_maps
from cctuning.visualization.maps import ModelMap, map_model
from cctuning.visualization.moved import MovedLayer, measure_moved, moved_csv
from cctuning.visualization.moved_figure import plot_moved
from cctuning.visualization.parallel_texts import (
    ENGLISH,
    ParallelTexts,
    draw_parallel,
    texts_of_items,
    texts_of_rows,
)
from cctuning.visualization.representations import check_layer, represent, sublayer_outputs

console = new_console()


@dataclasses.dataclass(frozen=True)
class ShownModel:
    """A model to draw: the folder, how it is connected, and its prompts."""

    name: str
    folder: str
    mode: str
    prompts: PromptFormat


def visualize_models(recipe: VisualizeRecipe) -> Result:
    """Reads all that is named, and then draws it.

    Raises `ValueError` or `OSError` for models, results or runs that cannot be drawn.
    """
    losses = read_losses(recipe.runs)
    if recipe.x == "tokens":
        check_tokens(losses)
    choices = read_choices(recipe.results, recipe.names)
    models, texts = read_models(recipe), read_texts(recipe)
    if recipe.dry_run:
        show(recipe, models, texts, choices, losses)
        return Result()
    with only_run_in(recipe.output_dir):
        return draw(recipe, models, texts, choices, losses)


def draw(
    recipe: VisualizeRecipe,
    models: list[ShownModel],
    texts: ParallelTexts | None,
    choices: list[LayerChoices],
    losses: list[Losses],
) -> Result:
    """Writes the figures, and behind each the numbers in it."""
    seen = {model.name: read_model(recipe, model, texts) for model in models} if texts else {}
    maps = [own_map for own_map, _ in seen.values()]
    moved = {name: layers for name, (_, layers) in seen.items()}
    folder = Path(recipe.output_dir)
    given = {MAPS_FILE: texts, "moved.csv": texts, "losses.csv": losses, "layers.csv": choices}
    begin(folder, *(name for name, source in given.items() if source))
    if losses:
        plot_losses(losses, [folder / "losses.png", folder / "losses.svg"], x=recipe.x)
        finish(folder, "losses.csv", losses_csv(losses))
        console.say(f"{folder} holds losses.csv, .png and .svg")
    if choices:
        plot_choices(choices, [folder / "layers.png", folder / "layers.svg"])
        finish(folder, "layers.csv", choices_csv(choices))
        console.say(f"{folder} holds layers.csv, .png and .svg")
    if texts:
        write_maps(folder, maps, texts, settings_of(recipe))
        console.print(means_table(maps, texts))
        console.say(f"{folder} holds {FILES}")
        plot_moved(moved, [folder / "moved.png", folder / "moved.svg"], chance=1 / len(texts))
        finish(folder, "moved.csv", moved_csv(moved))
        console.print(moved_table(moved, texts))
        console.say(f"{folder} holds moved.csv, .png and .svg")
    report = {
        "representations": {model.name: model.means for model in maps},
        "moved": {name: [dataclasses.asdict(layer) for layer in layers] for name, layers in moved.items()},
        "layers": {choice.name: dataclasses.asdict(choice) for choice in choices},
        "losses": {run.name: dataclasses.asdict(run) for run in losses},
    }
    return Result(folder, {name: numbers for name, numbers in report.items() if numbers})


# --- Representations ----------------------------------------------------------------------------------------


def read_models(recipe: VisualizeRecipe) -> list[ShownModel]:
    """The models, checked as far as that goes without their weights."""
    models = []
    for name, folder in recipe.shown_models().items():
        tokenizer, config = load_without_weights(
            folder, trust_remote_code=recipe.trust_remote_code, setting=f"models.{name}"
        )
        try:
            check_layer(config, recipe.layer)
        except ValueError as error:
            raise ValueError(f"{error}: models.{name}={folder}") from None
        mode = connection_mode(recipe, folder)
        prompts = choose_prompts(tokenizer, recipe.template, recipe.template_arguments, warn=console.warn)
        models.append(ShownModel(name, folder, mode, prompts))
    if len({model.prompts.template_hash for model in models}) > 1:
        console.warn("the models' templates differ, so they read other prompts; template= sets one for all")
    return models


def connection_mode(recipe: VisualizeRecipe, folder: str) -> str:
    """The mode of a model's connection: none for a plain one; without a matrix `auto` is bilingual."""
    kind = kind_of(model_folder(folder))
    if not kind.connected:
        return "none"
    if recipe.inference == "auto" and kind.run:
        return "bilingual"
    return choose_mode(folder, recipe.inference)


def read_texts(recipe: VisualizeRecipe) -> ParallelTexts | None:
    """The sentences; None where no model is to read any."""
    if not recipe.shown_models():
        return None
    with extra("analysis"):
        import sklearn.manifold  # noqa: F401  before minutes of work
    if recipe.benchmark is None:
        rows, problems = read_rows(
            recipe.data, columns=dataclasses.asdict(recipe.columns), on_bad_row=recipe.on_bad_row
        )
        if problems:
            console.warn(f"{rejected_text(problems)} left out, the first: {problems[0]}")
        texts = texts_of_rows(rows)
    else:
        texts = texts_of_items(read_item_sets([find_benchmark(recipe.benchmark)], recipe.benchmark_data))
    return draw_parallel(texts, languages=recipe.languages, count=recipe.sentences, seed=recipe.seed)


def read_model(
    recipe: VisualizeRecipe, shown: ShownModel, texts: ParallelTexts
) -> tuple[ModelMap, list[MovedLayer]]:
    """One model's representations as a map, and what a connection moves in it."""
    device = torch.device("cuda" if torch.cuda.is_available() and not recipe.use_cpu else "cpu")
    with naming_model(f"models.{shown.name}", shown.folder):
        model = load_model(shown.folder, dtype=recipe.dtype, trust_remote_code=recipe.trust_remote_code).to(
            device
        )
    set_mode(model, shown.mode)
    languages = list(texts.texts)
    total = len(texts) * len(languages)
    with progress_bar(f"sentences, {shown.name}", total, console=console, transient=True) as bar:
        vectors = {
            language: represent(
                model,
                shown.prompts,
                texts.texts[language],
                texts.english,
                layer=recipe.layer,
                pooling=recipe.pooling,
                bilingual=shown.mode == "bilingual",
                batch_size=recipe.batch_size,
                progress=bar.advance,
            )
            for language in languages
        }
    with console.status(f"t-SNE, {shown.name}"):
        drawn = map_model(shown.name, shown.mode, vectors, perplexity=recipe.perplexity, seed=recipe.seed)
    prompts = {**texts.texts, ENGLISH: texts.english}
    total = len(texts) * len(prompts)
    with progress_bar(f"layers' outputs, {shown.name}", total, console=console, transient=True) as bar:
        outputs = {
            language: sublayer_outputs(
                model, shown.prompts, of_language, batch_size=recipe.batch_size, progress=bar.advance
            )
            for language, of_language in prompts.items()
        }
    F_en = outputs.pop(ENGLISH).F
    F = {language: of_language.F for language, of_language in outputs.items()}
    target = [of_language.target for of_language in outputs.values()]
    return drawn, measure_moved(F, F_en, transform_of(model), target=target)


def settings_of(recipe: VisualizeRecipe) -> dict[str, Any]:
    """The settings that the representations depend on, beside the models' connections."""
    keys = (
        "data", "benchmark", "layer", "pooling", "template", "template_arguments",
        "perplexity", "seed", "dtype",
    )  # fmt: skip
    return {"folders": recipe.shown_models()} | {key: getattr(recipe, key) for key in keys}


def means_table(maps: list[ModelMap], texts: ParallelTexts) -> Table:
    """The numbers of each model, over all pairs of languages."""
    names = {"cosine, parallel": "parallel", "cosine, other": "other", "difference": "difference"}
    rows = [
        [
            *(model.name, model.connection),
            *(f"{model.means[name]:.3f}" for name in names.values()),
            f"{model.means['retrieval']:.1%}",
        ]
        for model in maps
    ]
    return RecordTable(["model", "connection", *names, "retrieval"], rows).screen(
        text=(0, 1),
        title=f"{len(texts):,} sentences in {', '.join(texts.texts)}",
        title_justify="left",
        caption=f"retrieval by chance: {1 / len(texts):.1%}",
    )


def moved_table(moved: Mapping[str, Sequence[MovedLayer]], texts: ParallelTexts) -> Table:
    """Of each model the layer in which the most sentences find their own F_en, and the last one."""
    rows = []
    for name, layers in moved.items():
        best = max(layers, key=lambda layer: layer.retrieval_centred)
        for what, layer in (("best match", best), ("last", layers[-1])):
            known = (layer.differs, layer.retrieval, layer.retrieval_centred, layer.transformed_centred)
            shares = ["" if share is None else f"{share:.1%}" for share in known]
            rows.append([f"{name}, {what}", layer.layer, f"{layer.size_over_first:.2f}", *shares])
    columns = ["model", "layer", "size", "differs", "nearest", "less mean", "F·W_T"]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return RecordTable(columns, rows).screen(
        title="what the connection moves, F_en; size: over the first layer's own output",
        title_justify="left",
        caption=f"nearest by chance: {1 / len(texts):.1%}",
    )


# --- What would be drawn ------------------------------------------------------------------------------------


def show(
    recipe: VisualizeRecipe,
    models: list[ShownModel],
    texts: ParallelTexts | None,
    choices: list[LayerChoices],
    losses: list[Losses],
) -> None:
    """Prints what each figure would be made of."""
    folder = Path(recipe.output_dir)
    rows = []
    if texts:
        named = "\n".join(f"{model.name}: {model.folder}, connection: {model.mode}" for model in models)
        layer = f"layer {recipe.layer}, {recipe.pooling}"
        sentences = f"{len(texts):,} sentences in {', '.join(texts.texts)}"
        rows.append(["representations", f"{named}\n{sentences}; {layer}"])
    if choices:
        evaluations = (
            f"{choice.name}: {len(choice.tasks)} tasks, {choice.layers} layers" for choice in choices
        )
        rows.append(["layers", "\n".join(evaluations)])
    if losses:
        runs = (f"{run.name}: {len(run.losses):,} values up to step {run.steps[-1]:,}" for run in losses)
        rows.append(["losses", "\n".join(runs)])
    title = f"would be written to {folder}"
    table = RecordTable(["figure", "of"], rows)
    console.print(table.screen(text=(0, 1), title=title, title_justify="left", show_lines=True))
    if texts:
        language = next(iter(texts.texts))
        console.print(f"the first prompt, in {language}, as {models[0].name} reads it:")
        console.say(models[0].prompts.prompt_text(texts.texts[language][0]))
