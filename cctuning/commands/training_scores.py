"""Scores on benchmarks while a model is trained, asked and scored as `cctuning evaluate` does it."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from cctuning.commands.evaluate_model import make_tasks
from cctuning.commands.schemas import EvaluateRecipe, TrainRecipe
from cctuning.connection.connected import without_connection
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.sharing import Shard, from_the_first
from cctuning.evaluation.asking.responses import GenerationSettings, ask
from cctuning.evaluation.asking.samples import make_samples
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.benchmarks import find_benchmark
from cctuning.evaluation.items.selection import read_item_sets
from cctuning.evaluation.results.results import summarise
from cctuning.pretrained.loading import positions_of
from cctuning.settings.near_matches import did_you_mean
from cctuning.training.metrics import EVALUATED, EVALUATED_LOSS


@dataclass(frozen=True)
class BenchmarkScores:
    """The tasks of each inference mode, and how they are asked; called with a model, their scores."""

    tasks: Mapping[str, Sequence[Task]]
    prompts: PromptFormat
    how: GenerationSettings

    @property
    def names(self) -> list[str]:
        """The names of the means over languages."""
        every = [(task, mode) for mode, tasks in self.tasks.items() for task in tasks]
        return list(dict.fromkeys(name_of(task.benchmark.name, mode) for task, mode in every))

    @property
    def questions(self) -> int:
        """How many are asked, in all modes."""
        return sum(len(task.questions) for tasks in self.tasks.values() for task in tasks)

    def __call__(self, model: Any, shard: Shard) -> dict[str, float]:
        """The main metric of each benchmark and mode, and of each language: `xnli_none`, `xnli_none/sw`.

        Of several processes each asks its share; all get the scores. The model is left as it was.
        """
        scores: dict[str, float] = {}
        for mode, tasks in self.tasks.items():
            samples: dict[tuple[str, str], list[dict[str, Any]]] = {}
            with without_connection(model) if mode == "none" else nullcontext():
                for task in tasks:
                    with TemporaryDirectory() as folder:
                        responses = ask(model, self.prompts, task, folder, self.how, shard=shard)
                    if shard.rank == 0:
                        samples[task.benchmark.name, task.language] = make_samples(task, responses)
            scores |= _means(mode, samples)
        return dict(from_the_first(scores, shard, model.device))


def _means(mode: str, samples: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    results = summarise(samples, config={}, resamples=2)  # of which no interval is taken
    means: dict[str, float] = {}
    for benchmark, tasks in results["group_subtasks"].items():
        name = name_of(benchmark, mode)
        for task in tasks:
            metric, language = (results["configs"][task][key] for key in ("main_metric", "language"))
            means[f"{name}/{language}"] = results["results"][task][metric]
            means[name] = results["groups"][benchmark][metric]
    return means


def name_of(benchmark: str, mode: str) -> str:
    """The name of a benchmark's score in an inference mode, less the prefix that metrics have."""
    return f"{benchmark}_{mode}"


def benchmark_scores(recipe: TrainRecipe, prompts: PromptFormat, config: Any) -> BenchmarkScores | None:
    """What a training run asks meanwhile; None where that is nothing.

    Raises `ValueError` for questions that there are none of, or that cannot be asked, and for a
    `metric_for_best_model` that is none of the scores.
    """
    if not recipe.eval_benchmarks:
        return None
    evaluation = EvaluateRecipe(
        recipe.model_name_or_path,
        recipe.eval_benchmarks,
        data=recipe.eval_benchmarks_data,
        languages=recipe.eval_languages,
        limit=recipe.eval_limit,
        max_new_tokens=recipe.eval_max_new_tokens,
    )
    sets = read_item_sets(
        [find_benchmark(name) for name in evaluation.benchmarks],
        evaluation.data,
        languages=evaluation.languages,
        limit=evaluation.limit,
    )
    modes = recipe.eval_inference or ["bilingual" if recipe.connection.enabled else "none"]
    positions = positions_of(config)
    tasks = {mode: make_tasks(evaluation, mode, sets, prompts, positions, None)[0] for mode in modes}
    # As many tokens at once as a pass of the training reads; the likeliest option is no main metric.
    most = recipe.per_device_train_batch_size * recipe.cutoff_len
    how = GenerationSettings(evaluation.max_new_tokens, evaluation.batch_size, most, log_likelihood=False)
    scores = BenchmarkScores(tasks, prompts, how)
    known = [EVALUATED_LOSS, *(f"{EVALUATED}{name}" for name in scores.names)]
    wanted = recipe.metric_for_best_model
    if wanted not in known:
        raise ValueError(
            f"metric_for_best_model={wanted} is not one of {', '.join(known)}{did_you_mean(wanted, known)}"
        )
    return scores
