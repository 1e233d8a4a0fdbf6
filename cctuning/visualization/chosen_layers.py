"""Layers that the connection chose: per benchmark and language, from the samples of evaluations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers.utils import CONFIG_NAME

from cctuning.evaluation.asking.sample_files import ResultsError
from cctuning.evaluation.comparison.evaluations import Evaluation, name_evaluations
from cctuning.evaluation.results.folder import read_results, read_samples
from cctuning.pretrained.kinds import read_json_object
from cctuning.reporting.tables import RecordTable


@dataclass(frozen=True)
class TaskChoices:
    """The answers to a benchmark in one language by the layer that was connected."""

    benchmark: str  # its title, as the papers write it
    language: str
    counts: Counter[int]  # answers by layer, from 0
    without: int  # answers that no single layer was connected for

    def share(self, layer: int) -> float:
        """Of the answers with a layer, those with this one; in [0, 1], and 0 where no answer has one."""
        return self.counts[layer] / max(self.counts.total(), 1)


@dataclass(frozen=True)
class LayerChoices:
    """One evaluation."""

    name: str
    layers: int  # the model's, or where its folder is gone, as many as were chosen
    tasks: Sequence[TaskChoices]


def read_choices(folders: Sequence[str], names: Sequence[str] = ()) -> list[LayerChoices]:
    """The chosen layers of evaluations' answers, each under one of `names`, by default the models'.

    Raises `ResultsError` for a folder without results, or whose answers have no chosen layer, and
    `ValueError` for names that are not one each.
    """
    evaluations = [Evaluation(Path(folder), read_results(folder)["config"], {}) for folder in folders]
    named = name_evaluations(evaluations, names)
    return [_choices(evaluation, name) for evaluation, name in zip(evaluations, named, strict=True)]


def _choices(evaluation: Evaluation, name: str) -> LayerChoices:
    tasks, connected = [], False
    configs = read_results(evaluation.folder)["configs"]
    for (benchmark, language), samples in read_samples(evaluation.folder):
        counts = Counter(sample["layer"] for sample in samples if sample["layer"] is not None)
        connected |= any(sample["connected"] for sample in samples)
        title = configs[f"{benchmark}_{language}"]["title"]
        tasks.append(TaskChoices(title, language, counts, len(samples) - counts.total()))
    chosen = {layer for task in tasks for layer in task.counts}
    if not chosen:
        why = (
            "its connection mixes all layers, so none is chosen"
            if connected
            else f"none was connected (inference={evaluation.config.get('inference')})"
        )
        raise ResultsError(f"{evaluation.folder}: no answer has a chosen layer: {why}")
    return LayerChoices(name, max(_layers_of(evaluation), max(chosen) + 1), tasks)


def _layers_of(evaluation: Evaluation) -> int:
    """The number of layers of an evaluation's model; 0 where its folder is no longer there."""
    # A model that was moved took its evaluations with it: they lie in MODEL/evaluation/NAME.
    for folder in (Path(str(evaluation.config.get("model_path"))), evaluation.folder.resolve().parents[1]):
        layers = read_json_object(folder / CONFIG_NAME).get("num_hidden_layers")
        if isinstance(layers, int):
            return layers
    return 0


def choices_csv(evaluations: Sequence[LayerChoices]) -> str:
    """A line per evaluation, benchmark, language and layer: answers, and their share of those with a layer.

    An empty layer counts the answers that none was chosen for.
    """
    rows: list[tuple[object, ...]] = []
    for evaluation in evaluations:
        for task in evaluation.tasks:
            place = (evaluation.name, task.benchmark, task.language)
            rows += [
                (*place, layer, task.counts[layer], task.share(layer))
                for layer in range(evaluation.layers)
                if task.counts
            ]
            if task.without:
                rows.append((*place, None, task.without, None))
    return RecordTable(("evaluation", "benchmark", "language", "layer", "answers", "share"), rows).csv()
