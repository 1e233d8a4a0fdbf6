"""Writes the benchmarks as tasks of lm-evaluation-harness: one for each language, a group for each benchmark.

The harness finds them with --include_path FOLDER: cctuning_mkqa is the mean over MKQA's languages,
cctuning_mkqa_ar one of them. Their questions are the local files of --metadata '{"data": "FOLDER"}'.
"""

import argparse
from pathlib import Path

from cctuning.commands.schemas import EvaluateRecipe
from cctuning.evaluation.benchmarks import BENCHMARKS
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.preparation.command import script
from cctuning.tools.console import new_console
from cctuning.tools.files import write_whole

# `until` names nothing, so that a response ends where the model ends it.
_TASK = """\
task: cctuning_{benchmark}_{language}
custom_dataset: !function cctuning.evaluation.harness.load_questions
dataset_kwargs: {{benchmark: {benchmark}, language: "{language}"}}
test_split: test
output_type: generate_until
doc_to_text: asked
doc_to_target: answers
process_results: !function cctuning.evaluation.harness.score
num_fewshot: 0
generation_kwargs: {{do_sample: false, max_gen_toks: {max_new_tokens}, until: []}}
metric_list:
{metrics}
metadata: {{version: 1}}
"""
_TASK_METRIC = "  - {{metric: {}, aggregation: mean, higher_is_better: true}}"
_GROUP = """\
group: cctuning_{benchmark}
group_alias: {title}
task:
{tasks}
aggregate_metric_list: # means over languages, whatever their numbers of questions
{metrics}
metadata: {{version: 1}}
"""
_GROUP_METRIC = "  - {{metric: {}, weight_by_size: false}}"


def _write(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    files = task_files()
    for name, text in files.items():
        write_whole(folder / name, text)
    new_console().say(f"{len(files)} tasks and groups in {folder}: lm_eval --include_path {folder}")
    return 0


def task_files() -> dict[str, str]:
    """The text of every file by its name: a group and its tasks for each benchmark."""
    files = {}
    for benchmark in BENCHMARKS.values():
        files[f"{benchmark.name}.yaml"] = _group(benchmark)
        for language in benchmark.languages:
            files[f"{benchmark.name}_{language}.yaml"] = _task(benchmark, language)
    return files


def _task(benchmark: Benchmark, language: str) -> str:
    return _TASK.format(
        benchmark=benchmark.name,
        language=language,
        max_new_tokens=EvaluateRecipe.max_new_tokens,
        metrics=_metrics(benchmark, _TASK_METRIC),
    )


def _group(benchmark: Benchmark) -> str:
    return _GROUP.format(
        benchmark=benchmark.name,
        title=benchmark.title,
        tasks="\n".join(f"  - cctuning_{benchmark.name}_{language}" for language in benchmark.languages),
        metrics=_metrics(benchmark, _GROUP_METRIC),
    )


def _metrics(benchmark: Benchmark, line: str) -> str:
    return "\n".join(line.format(f"{metric.name}_{metric.rule}") for metric in benchmark.metrics)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=Path("outputs/lm_eval_tasks"),
        help="where the files go (default: outputs/lm_eval_tasks)",
    )


main = script(
    "lm_eval_tasks", __doc__, _add_arguments, lambda options, command: _write(options.output), keep_lines=True
)

if __name__ == "__main__":
    raise SystemExit(main())
