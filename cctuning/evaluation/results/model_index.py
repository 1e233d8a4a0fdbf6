"""Scores of an evaluation in a model's card, as the hub's `model-index`."""

from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from cctuning.evaluation.results.score_rows import ScoreRow, score_rows


def with_scores(card: str, results: Mapping[str, Any], *, model: str) -> str:
    """`card`, the text of a model's, with the scores of `results`, as `results.json` holds them.

    Scores of other evaluations stay: of other benchmarks, languages and metrics, and of a model that was
    asked in another way. `model` names it where the card has no scores yet. Raises `ValueError` for a card
    whose metadata is none.
    """
    document = ModelCard(card)
    data: Any = document.data
    new = _entries(results)
    known = {_what(entry) for entry in new}
    others = [entry for entry in data.eval_results or [] if _what(entry) not in known]
    data.eval_results, data.model_name = [*others, *new], data.model_name or model
    return str(document)


def _what(entry: EvalResult) -> tuple[str | None, ...]:
    """What was measured, and how."""
    return entry.dataset_type, entry.dataset_config, entry.metric_type, entry.metric_name


def _entries(results: Mapping[str, Any]) -> list[EvalResult]:
    config = results["config"]
    how = [str(config["inference"])]
    how += [config["prompting"]] if config.get("prompting", "original") != "original" else []
    how += [f"{config['shots']} shots"] if config.get("shots") else []
    return [_entry(row, ", ".join(how)) for row in score_rows(results)]


def _entry(row: ScoreRow, how: str) -> EvalResult:
    """One score in [0, 1]; `how` the model was asked is part of the metric's name."""
    name, _, rule = row.metric.partition(",")
    return EvalResult(
        task_type="text-generation",
        dataset_type=row.benchmark,
        dataset_name=f"{row.title} ({row.language or 'mean of the languages'})",
        dataset_config=row.language,
        metric_type=name,
        metric_name=f"{name} ({rule}), {how}",
        metric_value=row.value,
        metric_args={"ci95": list(row.interval), "questions": row.questions},
    )
