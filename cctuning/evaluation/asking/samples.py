"""Responses with their scores, as the sample files hold them."""

from collections.abc import Mapping, Sequence
from typing import Any

from cctuning.data.language_id import identify, language_consistency
from cctuning.evaluation.asking.questions import Question
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.chain_of_thought import judged_text
from cctuning.evaluation.scoring.strict import in_english_words

CONSISTENCY = "language_consistency,none"  # keys of scores
IN_ENGLISH = "in_english_words,strict"


def make_samples(
    task: Task, responses: Sequence[Mapping[str, Any]], *, prompting: str = "original"
) -> list[dict[str, Any]]:
    """Samples of a task from all its responses (`responses.ask`), in their order.

    Under the prompting `cot` the end of a response is judged, else all of it. Beside the benchmark's metrics
    a choice is scored by the log-likelihoods of its options, where the responses have them, and a free text
    by whether it is in the question's language; that score is missing where it cannot be identified.
    """
    return [
        _sample(task, question, response, prompting)
        for question, response in zip(task.questions, responses, strict=True)
    ]


def document(item: Item) -> dict[str, Any]:
    """The fields of a sample that come from its question, without the gold answers."""
    return {"prompt": item.prompt, "prompt_en": item.prompt_en, "options": item.options}


def _sample(task: Task, question: Question, response: Mapping[str, Any], prompting: str) -> dict[str, Any]:
    item, text = question.item, response["response"]
    judged = judged_text(item, text, response["last_tokens"]) if prompting == "cot" else text
    scores = {metric.key: float(metric.score(judged, item)) for metric in task.benchmark.metrics}
    likelihoods = response.get("log_likelihoods")
    if likelihoods:
        best = max(likelihoods, key=likelihoods.__getitem__)
        scores["accuracy,loglikelihood"] = float(best in item.answers)
    language = None
    if task.benchmark.kind == "short_answer":
        in_english = in_english_words(judged, item)
        scores |= {} if in_english is None else {IN_ENGLISH: in_english}
    if task.benchmark.kind != "choice":
        language = identify([text])[0].code
    # Also of choices: a model may explain its answer. A label alone is too short to tell.
    asked_in = "en" if task.benchmark.asked_in_english else item.language
    consistent = language_consistency(text, asked_in)
    if consistent is not None:
        scores[CONSISTENCY] = consistent
    return {
        "doc_id": item.id,
        "language": item.language,
        "doc": document(item),
        "target": list(item.answers),
        "details": dict(item.details),
        "prompt": question.prompt.text,
        "parallel": question.parallel and question.parallel.text,
        "untranslated": question.untranslated,
        "resps": [[text]],
        "filtered_resps": [judged],
        "scores": scores,
        "response_language": language,
        **{key: value for key, value in response.items() if key not in ("doc_id", "response")},
    }
