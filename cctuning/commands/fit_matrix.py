"""Fits the Transform Matrix of a finished run, and exports the monolingual model."""

import dataclasses
import shlex
import sys
import warnings
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from rich.table import Table

from cctuning.commands.hub_upload import EXPORT_FILES, files_of, make_repository, upload
from cctuning.commands.measure_matrix import measure_matrix
from cctuning.commands.prompts import choose_prompts
from cctuning.commands.result import Result
from cctuning.commands.schemas import FitRecipe
from cctuning.connection.model import CCTuningModel, load_model_config
from cctuning.connection.settings import read_connection
from cctuning.data.encoding import Example, encode, languages_of
from cctuning.data.preview import example_panel, rows_table
from cctuning.data.prompts import PromptFormat
from cctuning.data.rows import Problem, held_out_rows, read_rows, rejected_text, sample_rows
from cctuning.data.turns import rows_of_turns
from cctuning.data.unknown_tokens import prompts_by_language, unknown_tokens_warning
from cctuning.distributed.engines import join_equals
from cctuning.distributed.sharing import Shard
from cctuning.export import export_monolingual
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.identity import identity_of
from cctuning.pretrained.kinds import (
    CARD_FILE,
    CONNECTION_FILE,
    EXPORT_FOLDER,
    connection_folder,
    holds_model,
    kind_of,
    read_json_object,
)
from cctuning.pretrained.loading import load_tokenizer, positions_of
from cctuning.pretrained.names import beside_model, naming_model
from cctuning.reporting.settings_table import settings_table
from cctuning.reporting.tables import RecordTable
from cctuning.settings.changes import changed_settings
from cctuning.tools.console import new_console
from cctuning.tools.json_text import to_json
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import begin, finish, missing_mark
from cctuning.tools.progress import progress_bars
from cctuning.training.model_cards import export_card
from cctuning.training.runs import (
    FIT_REPORT_FILE,
    RunError,
    check_settings,
    check_trusted,
    find_newest_run,
    read_run_recipe,
)
from cctuning.transform.figures import plot_error_per_layer, plot_learning_curve
from cctuning.transform.fit import Fit, check_possible, fit_transform, run_shard
from cctuning.transform.memory import FitMemory
from cctuning.transform.pairs import PairSample, pairs_of, sample_pairs
from cctuning.translation.prompt import into_english

console = new_console()


def fit_matrix(recipe: FitRecipe) -> Result:
    """Fits, and writes the exported model and what is known about it; with benchmarks it measures one.

    Raises `RunError` for a run that cannot be fitted, `ValueError` or `OSError` for rows that cannot be used.
    """
    if recipe.benchmarks:
        return measure_matrix(recipe)
    state = join_equals("fit", use_cpu=recipe.use_cpu)
    shard = Shard(state.process_index, state.num_processes)
    console.quiet = not state.is_main_process
    run = find_run(recipe)
    if recipe.push_to_hub and not recipe.dry_run and (report := fitted(recipe, run)):
        if state.is_main_process:
            with only_run_in(run.output_dir):
                push(run.output_dir, make_repository(recipe, run.output_dir))
        return Result(run.output_dir, report)
    with naming_model("model", str(run.directory)):
        tokenizer = load_tokenizer(run.directory, trust_remote_code=recipe.trust_remote_code)
    # The template that the run was saved with; of an older version it may still write today's date.
    prompts = choose_prompts(tokenizer, "auto", warn=console.warn)
    examples, problems = load_examples(recipe, run, prompts)
    sample = sample_pairs(pairs_of(examples), recipe.pairs, held_out=recipe.held_out, seed=recipe.seed)
    describe(recipe, sample, problems)
    memory = memory_of(recipe, run.config, sample)
    warn_of_memory(recipe, memory)
    if unknown := unknown_tokens_warning(tokenizer, prompts_by_language(examples)):
        console.warn(unknown)
    if recipe.dry_run:
        show(recipe, run, examples, problems, sample, memory, tokenizer)
        return Result()
    with only_run_in(run.output_dir) if state.is_main_process else nullcontext():
        repository = make_repository(recipe, run.output_dir) if state.is_main_process else None
        with naming_model("model", str(run.directory)):
            options = {"dtype": recipe.dtype, "trust_remote_code": recipe.trust_remote_code}
            model = CCTuningModel.load(run.directory, **options).to(state.device)
        passes: dict[str, Any] = {
            "pad_token_id": prompts.pad_token_id,
            "batch_size": recipe.batch_size,
            "shard": shard,
        }
        if not state.is_main_process:
            run_shard(model, sample, **passes)
            return Result(run.output_dir)
        fit = fit_with_progress(recipe, model, sample, passes)
        report = write_fit(recipe, run, model, tokenizer, fit, languages_of(examples))
        push(run.output_dir, repository)
    console.say(f"Next: cctuning chat {shlex.quote(f'model={run.output_dir}')}")
    return Result(run.output_dir, report)


class Run(NamedTuple):
    """A finished run whose matrix is fitted."""

    directory: Path
    recipe: dict[str, Any]
    config: Any  # of its text model
    output_dir: Path  # where the exported model goes


def find_run(recipe: FitRecipe) -> Run:
    """The run that the recipe names, or the newest one.

    Raises `RunError` for a folder that holds no connected, finished run, `ValueError` for a fit that its
    connection does not allow.
    """
    directory = model_folder(recipe.model) if recipe.model else find_newest_run()
    if not recipe.model:
        console.say(f"model={directory}, the newest finished run")
    run_recipe = read_run_recipe(directory)
    if not kind_of(directory).run:
        raise RunError(
            f"{directory} was trained without a connection (ML-SFT), or not to its end: nothing to fit"
        )
    output_dir = output_of(recipe, directory)
    check_settings(run_recipe, directory)
    check_trusted(directory, recipe.trust_remote_code)
    with naming_model("model", str(directory)):
        config = load_model_config(directory, trust_remote_code=recipe.trust_remote_code).get_text_config()
        connection, _ = read_connection(connection_folder(directory) / CONNECTION_FILE)
    check_possible(connection, config.hidden_size, recipe.rank, recipe.layers)
    if connection.pooling == "layer" and recipe.layers == "all":
        layer = connection.layer % config.num_hidden_layers
        console.warn(
            f"the connection takes layer {layer} alone, and W_T is fitted on all layers, the largest "
            "outputs first: layers=chosen fits it on that one"
        )
    return Run(directory, run_recipe, config, output_dir)


def output_of(recipe: FitRecipe, directory: Path) -> Path:
    """Where the export goes. Raises `RunError` for a folder of another model, which it would overwrite."""
    output_dir = Path(recipe.output_dir or beside_model(recipe.model or str(directory), EXPORT_FOLDER))
    if output_dir.resolve() == directory.resolve():
        raise RunError(f"output_dir={output_dir} is the run itself, which the export would overwrite")
    if holds_model(output_dir) and not kind_of(output_dir).exported:
        raise RunError(f"output_dir={output_dir} holds another model, which the export would overwrite")
    return output_dir


def fitted(recipe: FitRecipe, run: Run) -> dict[str, Any]:
    """The report of a fit that an earlier call has finished, of the same run and settings; else empty."""
    report = read_json_object(run.output_dir / FIT_REPORT_FILE)
    same = report.get("model_parts") == identity_of(run.directory)
    if not same or missing_mark(run.output_dir):
        return {}
    settings = report.get("settings", {})
    changed = changed_settings("fit", settings, dataclasses.asdict(recipe), schema=FitRecipe)
    return {} if changed else report


def push(output_dir: Path, repository: str | None) -> None:
    """Uploads an exported model to `repository`, where there is one."""
    if repository is not None:
        files = files_of(output_dir, EXPORT_FILES)
        address = upload(
            repository, files, message="The model that cctuning fit has exported", what=str(output_dir)
        )
        console.say(f"Uploaded to {address}")


def load_examples(recipe: FitRecipe, run: Run, prompts: PromptFormat) -> tuple[list[Example], list[Problem]]:
    """The run's training examples, read as the run read them, or those of `data=`; bad rows are left out."""
    trained = run.recipe
    columns = {name: given for name, given in dataclasses.asdict(recipe.columns).items() if given is not None}
    rows, problems = read_rows(
        recipe.data or trained["data"],
        columns=trained["columns"] | columns,
        split=trained["data_split"],
        language=trained["language"],
        parallels=recipe.english if recipe.data else trained.get("english") or (),
        # A pair is two prompts; of the run's rows those that it was trained on.
        response=not (recipe.data or trained["connection"].get("alignment")),
        conversations=True,
        on_bad_row="skip",
        # Of rows that did not fit into memory those that the run looked at first.
        first=trained["buffer_size"] if trained.get("streaming") and not recipe.data else None,
    )
    if not recipe.data:
        rows = sample_rows(rows, trained["max_rows"], seed=trained["seed"])
        rows, _ = held_out_rows(rows, trained.get("eval_share") or 0, seed=trained["seed"])
    if trained["connection"].get("turns") == "all":
        rows = rows_of_turns(rows)
    positions = positions_of(run.config) or sys.maxsize
    limits = {name: min(trained[name], positions) for name in ("cutoff_len", "english_cutoff_len")}
    examples, cut = encode(rows, prompts, **limits)
    return examples, [*problems, *cut]


def describe(recipe: FitRecipe, sample: PairSample, problems: list[Problem]) -> None:
    """The pairs that are used, and what stands in the way of more."""
    counts = Counter(pair.language for pair in sample.fit)
    languages = ", ".join(f"{language} {count}" for language, count in sorted(counts.items()))
    console.print(
        f"{len(sample.fit):,} pairs to fit on ({languages}), {len(sample.held_out):,} others to measure on"
    )
    if len(sample.fit) < recipe.pairs:
        console.warn(f"fewer than pairs={recipe.pairs}: the data has no more rows that are not in English")
    if problems:
        console.warn(f"{rejected_text(problems)} left out, the first: {problems[0]}")


def memory_of(recipe: FitRecipe, config: Any, sample: PairSample) -> FitMemory:
    """The main memory that the fit takes."""
    return FitMemory.of(
        config.hidden_size,
        1 if recipe.layers == "chosen" else config.num_hidden_layers,
        pairs=len(sample.fit),
        held_out=len(sample.held_out),
        folds=recipe.folds,
        mean=recipe.mean,
        each=recipe.layers == "each",
        rank=recipe.rank,
    )


def warn_of_memory(recipe: FitRecipe, memory: FitMemory) -> None:
    """Warns where the fit takes more main memory than is free."""
    if sum(memory) > (free := psutil.virtual_memory().available):
        console.warn(
            f"the fit takes about {sum(memory) / 2**30:.1f} GiB of main memory beside the model, and "
            f"{free / 2**30:.1f} GiB are free"
            + (": take fewer pairs, a rank, or layers=all" if recipe.layers == "each" else "")
        )


def show(
    recipe: FitRecipe,
    run: Run,
    examples: list[Example],
    problems: list[Problem],
    sample: PairSample,
    memory: FitMemory,
    tokenizer: Any,
) -> None:
    """Prints what a fit would do, without doing it."""
    d = run.config.hidden_size
    layers = 1 if recipe.layers == "chosen" else run.config.num_hidden_layers
    rows = len(sample.fit) if recipe.layers == "each" else len(sample.fit) * layers
    resolved = {"model": str(run.directory), "output_dir": str(run.output_dir)}
    console.print(rows_table(examples, problems))
    console.print(settings_table(recipe, **resolved))
    console.print(example_panel(examples[0], tokenizer))
    what = f"rows of {layers} layers for a matrix of {d} x {d}"
    parts = ""
    if recipe.layers == "each":
        what = f"rows for each of {layers} matrices of {d} x {d}"
        outputs, matrices = (number / 2**30 for number in (memory.outputs, memory.matrices))
        parts = f" ({outputs:.2f} GiB for the outputs of all pairs, {matrices:.2f} GiB for the matrices)"
    console.print(
        f"{rows:,} {what} ({rows / d:.1f} rows per dimension), about {sum(memory) / 2**30:.2f} GiB of main "
        f"memory beside the model{parts}. Nothing was fitted."
    )


def fit_with_progress(recipe: FitRecipe, model: Any, sample: PairSample, passes: dict[str, Any]) -> Fit:
    """The fit, with a bar for each of its stages; warnings are printed as one line."""
    with warnings.catch_warnings(record=True) as caught, progress_bars(console) as bars:
        warnings.simplefilter("always", UserWarning)
        settings: dict[str, Any] = {"ridge": recipe.ridge, "rank": recipe.rank, "folds": recipe.folds}
        settings |= {"mean": recipe.mean, "layers": recipe.layers}
        fit = fit_transform(model, sample, progress=bars.update, **settings, **passes)
    for message in dict.fromkeys(str(warning.message) for warning in caught):  # of all layers once
        console.warn(message)
    return fit


def write_fit(
    recipe: FitRecipe, run: Run, model: Any, tokenizer: Any, fit: Fit, languages: list[str]
) -> dict[str, Any]:
    """Writes the exported model, figures and card, and last the report, which marks the fit as finished."""
    settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key != "output_dir"}
    fitted_run = {"model": str(run.directory), "model_parts": identity_of(run.directory), "seed": recipe.seed}
    report = {**fitted_run, **fit.report, "settings": settings}
    output_dir = run.output_dir
    begin(output_dir, FIT_REPORT_FILE)
    export_monolingual(model, tokenizer, fit.transform, output_dir, into_english=into_english(languages))
    plot_learning_curve(report, output_dir / "learning_curve.png")
    plot_error_per_layer(report, output_dir / "error_per_layer.png")
    card = export_card(run.recipe, languages=languages, report=report)
    (output_dir / CARD_FILE).write_text(card, encoding="utf-8")
    finish(output_dir, FIT_REPORT_FILE, to_json(report, indent=2) + "\n")
    console.print(summary(report))
    console.say(f"{output_dir} holds the exported model, {FIT_REPORT_FILE} and two figures")
    return report


_SHOWN = {"relative error": "relative_error", "R²": "r2", "cosine": "cosine", "same layer": "layer_agreement"}


def summary(report: dict[str, Any]) -> Table:
    """The fit beside its baselines, and per language."""
    rows = {
        "F · W_T": report,
        "  plain least squares": report["plain"],
        "  F itself": report["identity"] | {"layer_agreement": report.get("layer_agreement_identity")},
        "  the layer's mean": report["layer_mean"],
    }
    rows |= {f"F · W_T, {language}": values for language, values in report["languages"].items()}
    numbers = {name: map(values.get, _SHOWN.values()) for name, values in rows.items()}
    cells = [
        [name, *("" if value is None else f"{value:.3f}" for value in values)]
        for name, values in numbers.items()
    ]
    chosen = "chosen by cross-validation" if "cross_validation" in report else "given"
    if rank := report["settings"]["rank"]:
        chosen += f", rank {rank}"
    chosen += ", means apart" if report["settings"]["mean"] else ""
    each = report["settings"]["layers"] == "each"
    ridges = report["per_layer"]["ridge"] if each else [report["ridge"]]
    ridge = " to ".join(dict.fromkeys(f"{value:.3g}" for value in (min(ridges), max(ridges))))
    matrix = f"{len(ridges)} Transform Matrices" if each else "Transform Matrix"
    return RecordTable(["F_en predicted by", *_SHOWN], cells).screen(
        title=f"{matrix} from {report['pairs']:,} pairs: {report['rows']:,} rows, "
        f"{report['rows_per_dimension']:.1f} per dimension; ridge {ridge} ({chosen})",
        caption=f"on {report['held_out_pairs']:,} held-out pairs; relative error: of F_en's size; "
        "R²: 0 is the layer's mean; same layer: chosen as with the English prompt",
    )
