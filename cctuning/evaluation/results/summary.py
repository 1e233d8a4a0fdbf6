"""From the samples of an evaluation to its scores: per task, per benchmark, and over all benchmarks.

A task is a benchmark in one language. A benchmark's score is the mean over its languages, each counted
equally, and so is the mean over benchmarks. In the papers' sets the languages of a benchmark are of one size,
but for GlobalOpinionQA's, of which the authors count every question equally: `pooled`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cctuning.stats.bootstrap import (
    Array,
    Id,
    Interval,
    ScoresById,
    independent_error,
    interval,
    standard_error,
    unanimous_interval,
)


@dataclass(frozen=True)
class MeanScore:
    """A mean score, and how sure it is."""

    value: float
    error: float | None  # its standard error; None where there is one question only
    interval: Interval  # 95 %
    questions: int
    resampled: Array  # means over the draws, (resamples,), to average with those of others
    unanimous: bool  # all scores that stand behind it are alike, language by language


def estimates(
    scores: Mapping[str, ScoresById], drawn: Mapping[str, Array], *, parallel: bool, lowest: float = 0.0
) -> dict[str | None, MeanScore]:
    """The estimate of each language, and under None that of their average.

    `drawn`: their resampled means. `parallel`: the same id is the same question in all languages. `lowest`:
    the least a score can be; the highest is 1.
    """
    by_language: dict[str | None, MeanScore] = {}
    for language, by_id in scores.items():
        value = math.fsum(by_id.values()) / len(by_id)
        unanimous = len(set(by_id.values())) == 1
        sure = (
            unanimous_interval(value, len(by_id), lowest=lowest) if unanimous else interval(drawn[language])
        )
        error = standard_error({language: by_id}, parallel=True)
        by_language[language] = MeanScore(value, error, sure, len(by_id), drawn[language], unanimous)
    error = standard_error(scores, parallel=parallel)
    questions = len({id for by_id in scores.values() for id in by_id}) if parallel else None
    return by_language | {
        None: average(list(by_language.values()), error=error, questions=questions, lowest=lowest)
    }


def pooled(scores: Mapping[str, ScoresById]) -> float:
    """The mean over the questions of all languages, each question counted equally."""
    every = [score for by_id in scores.values() for score in by_id.values()]
    return math.fsum(every) / len(every)


def average(
    parts: Sequence[MeanScore],
    *,
    error: float | None = None,
    questions: int | None = None,
    lowest: float = 0.0,
) -> MeanScore:
    """The mean of `parts`, each counted equally.

    `error` and `questions` where parts share questions; else their errors are independent and their questions
    add up.
    """
    value = math.fsum(part.value for part in parts) / len(parts)
    drawn = np.mean([part.resampled for part in parts], axis=0)
    count = questions or sum(part.questions for part in parts)
    unanimous = all(part.unanimous for part in parts)
    sure = unanimous_interval(value, count, lowest=lowest) if unanimous else interval(drawn)
    if questions is None and error is None:
        error = independent_error([part.error for part in parts])
    return MeanScore(value, error, sure, count, drawn, unanimous)


def scores_of(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[Id, float]]:
    """Scores by question id for every metric key, in the order of the samples. A null is no score."""
    by_metric: dict[str, dict[Id, float]] = {}
    for sample in samples:
        for key, score in sample["scores"].items():
            if score is not None:
                by_metric.setdefault(key, {})[sample["doc_id"]] = float(score)
    return by_metric


def generation_of(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Generation in numbers: responses' length, end, connection, and how often which layer was chosen.

    `layers` counts the rows of each layer, from 0; it is empty where the connection was a mixture or none.
    """
    layers = Counter(sample["layer"] for sample in samples if sample["layer"] is not None)
    return {
        "new_tokens": math.fsum(sample["new_tokens"] for sample in samples) / len(samples),
        "stopped": sum(sample["stopped"] for sample in samples) / len(samples),
        "connected": sum(sample["connected"] for sample in samples) / len(samples),
        "layers": {str(layer): layers[layer] for layer in sorted(layers)},
    }
