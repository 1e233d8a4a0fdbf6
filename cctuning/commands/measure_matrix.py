"""Measures the Transform Matrix of an exported model on the prompts of benchmarks."""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.table import Table

from cctuning.commands.prompts import choose_prompts, load_without_weights
from cctuning.commands.result import Result
from cctuning.commands.schemas import FitRecipe
from cctuning.connection.model import load_model
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.engines import join_equals
from cctuning.distributed.sharing import Shard
from cctuning.evaluation.asking.tasks import Task, make_task, split_faulty
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.selection import read_item_sets
from cctuning.generation.modes import choose_mode
from cctuning.pretrained.hub import model_folder
from cctuning.pretrained.identity import identity_of
from cctuning.pretrained.kinds import read_json_object
from cctuning.pretrained.loading import positions_of
from cctuning.pretrained.names import naming_model
from cctuning.reporting.tables import RecordTable
from cctuning.tools.console import new_console
from cctuning.tools.json_text import to_json
from cctuning.tools.locks import only_run_in
from cctuning.tools.marks import begin, finish
from cctuning.tools.progress import progress_bars
from cctuning.training.runs import ERRORS_FILE, FIT_REPORT_FILE
from cctuning.transform.affine import transform_of
from cctuning.transform.measured import collect_outputs, mean_outputs, measure
from cctuning.transform.pairs import Pair, draw_pairs, stream_pairs

console = new_console()
TABLE_FILE = "errors.csv"
_MEASURES = ("mse", "relative_error", "r2", "cosine", "layer_agreement")


def measure_matrix(recipe: FitRecipe) -> Result:
    """Measures F·W_T as a prediction of F_en, benchmark by benchmark, and writes the errors.

    Raises `ValueError` or `OSError` for a model without a Transform Matrix and for benchmarks that cannot be
    read.
    """
    state = join_equals("fit", use_cpu=recipe.use_cpu)
    shard = Shard(state.process_index, state.num_processes)
    console.quiet = not state.is_main_process
    folder = str(recipe.model)
    choose_mode(folder, "monolingual")  # there is a matrix
    tokenizer, config = load_without_weights(folder, trust_remote_code=recipe.trust_remote_code)
    prompts = choose_prompts(tokenizer, "auto", warn=console.warn)
    pairs = read_pairs(recipe, prompts, positions_of(config))
    output_dir = Path(recipe.output_dir or Path(folder) / "errors")
    if recipe.dry_run:
        for title, drawn in pairs.items():
            languages = sorted({pair.language for pair in drawn})
            console.say(f"{title}: {len(drawn):,} prompts in {', '.join(languages)}")
        console.print(f"Nothing was measured; errors would be written to {output_dir}.")
        return Result()
    with only_run_in(output_dir) if state.is_main_process else nullcontext():
        with naming_model("model", folder):
            options = {"dtype": recipe.dtype, "trust_remote_code": recipe.trust_remote_code}
            model = load_model(folder, **options).to(state.device)
        known = read_json_object(model_folder(folder) / FIT_REPORT_FILE)
        layer = known.get("chosen_layer")  # of layers=chosen: the matrix says nothing about the others
        how = {"pad_token_id": prompts.pad_token_id, "batch_size": recipe.batch_size, "layer": layer}
        measured = measure_all(model, pairs, shard, **how)
        if not state.is_main_process:
            return Result(output_dir)
        settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key != "output_dir"}
        report = {"model": folder, "model_parts": identity_of(folder), "benchmarks": measured}
        report |= {} if layer is None else {"chosen_layer": layer}
        begin(output_dir, ERRORS_FILE)
        (output_dir / TABLE_FILE).write_text(csv_text(measured), encoding="utf-8")
        finish(output_dir, ERRORS_FILE, to_json({**report, "settings": settings}, indent=2) + "\n")
    console.print(summary(measured))
    console.say(f"{output_dir} holds {ERRORS_FILE} and {TABLE_FILE}, which has them by language")
    return Result(output_dir, report)


def read_pairs(recipe: FitRecipe, prompts: PromptFormat, positions: int | None) -> dict[str, list[Pair]]:
    """`pairs` prompts of each benchmark with their parallels, as inference=bilingual asks them, by its title.

    Prompts that cannot be asked are left out, and those whose parallel is the same text: F is F_en there.
    Raises `ValueError` for a benchmark that has none.
    """
    by_title: dict[str, list[Pair]] = {}
    left_out: dict[str, int] = {}
    sets = read_item_sets([find_benchmark(name) for name in recipe.benchmarks], recipe.benchmark_data)
    for item_set in sets:
        title = item_set.benchmark.title
        items = [item for item in item_set.items if item.prompt != item.prompt_en]
        if not items:
            continue
        item_set = dataclasses.replace(item_set, items=items)
        task = make_task(item_set, prompts, mode="bilingual")
        task, _ = split_faulty(task, item_set, prompts, positions=positions, new_tokens=0, leave_out=True)
        by_title.setdefault(title, []).extend(_pairs(task))
        if missing := len(items) - len(task.questions):
            left_out[title] = left_out.get(title, 0) + missing
    for title, count in left_out.items():
        console.warn(f"{title}: {count:,} prompts left out, without a parallel or too long for the model")
    for item_set in sets:
        if item_set.benchmark.title not in by_title:
            raise ValueError(f"{item_set.benchmark.title} has no prompts in another language than English")
    return {title: draw_pairs(pairs, recipe.pairs, seed=recipe.seed) for title, pairs in by_title.items()}


def _pairs(task: Task) -> list[Pair]:
    return [
        Pair(str(question.item.id), task.language, tuple(question.prompt.ids), tuple(question.parallel.ids))
        for question in task.questions
        if question.parallel is not None
    ]


def measure_all(
    model: Any, pairs: Mapping[str, Sequence[Pair]], shard: Shard, **how: Any
) -> dict[str, dict[str, Any]]:
    """`measure` of each benchmark, by its title. R² is over what differs between its own prompts.

    `how` is for `stream_pairs`. Of several processes the first one gets them; the others run their share.
    """
    report: dict[str, dict[str, Any]] = {}
    transform = transform_of(model)
    assert transform is not None  # of an exported model
    with progress_bars(console) as bars:
        for title, drawn in pairs.items():
            stream = stream_pairs(model, drawn, shard=shard, **how)
            batches = collect_outputs(stream, len(drawn), bars.update, what=title)
            if shard.rank == 0:
                values = measure(model, batches, drawn, transform, mean_outputs(batches))
                report[title] = {"pairs": len(drawn), **values}
    return report


def csv_text(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of errors.csv, a line a benchmark and language; `mean` is over all prompts."""
    rows = [
        [title, language, values.get("pairs", values.get("held_out_pairs")), *map(values.get, _MEASURES)]
        for title, report in measured.items()
        for language, values in {"mean": report, **report["languages"]}.items()
    ]
    return RecordTable(["benchmark", "language", "prompts", *_MEASURES], rows).csv()


def summary(measured: Mapping[str, Mapping[str, Any]]) -> Table:
    """The errors of each benchmark beside those of F itself."""
    rows = [
        [
            title,
            f"{report['pairs']:,}",
            f"{report['mse']:.3g}",
            f"{report['identity']['mse']:.3g}",
            *("" if report.get(name) is None else f"{report[name]:.3f}" for name in _MEASURES[1:]),
        ]
        for title, report in measured.items()
    ]
    columns = ["", "prompts", "MSE", "of F", "relative error", "R²", "cosine", "same layer"]
    return RecordTable(columns, rows).screen(
        title="F_en predicted by F · W_T on the prompts of benchmarks",
        title_justify="left",
        caption="R²: 0 is the mean of the benchmark's prompts in each layer; same layer: chosen as with the "
        "English prompt",
    )
