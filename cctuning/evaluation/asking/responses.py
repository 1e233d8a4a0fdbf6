"""Asking the questions of a task: batches by length, shared by processes, kept as they come."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cctuning.data.batches import plan_batches
from cctuning.data.prompts import PromptFormat
from cctuning.distributed.sharing import ALONE, Shard, from_the_first, in_turns
from cctuning.evaluation.asking.log_likelihood import option_log_likelihoods
from cctuning.evaluation.asking.questions import Question
from cctuning.evaluation.asking.sample_files import RESPONSE_KINDS
from cctuning.evaluation.asking.store import ResponseFile, read_task
from cctuning.evaluation.asking.tasks import Task
from cctuning.evaluation.asking.timings import add_timing
from cctuning.evaluation.scoring.chain_of_thought import LAST_TOKENS
from cctuning.generation.generate import answer_of, generate_batch
from cctuning.generation.rules import stop_tokens
from cctuning.tools.progress import Advance


@dataclass(frozen=True)
class GenerationSettings:
    """Settings for asking questions."""

    max_new_tokens: int = 40
    batch_size: int = 32
    batch_tokens: int | None = None
    log_likelihood: bool = True  # of the options, where there are some


def ask(
    model: Any,
    prompts: PromptFormat,
    task: Task,
    folder: str | Path,
    how: GenerationSettings,
    *,
    shard: Shard = ALONE,
    progress: Advance = lambda done: None,
) -> list[dict[str, Any]]:
    """Greedy responses to all questions of a task, in their order, as `response_of` names them.

    Those that `folder` holds from an earlier, interrupted call are not asked again; the other batches are
    the same as they would have been, so the result is too. Of several processes each asks its share of the
    batches, and the first one gets and keeps all responses; the others get none.
    """
    file = ResponseFile(folder, task.name)
    answered: list[dict[str, Any]] = []
    if shard.rank == 0:
        answered = list(map(response_of, read_task(folder, task.name))) or file.recover()
    known = set(from_the_first([response["doc_id"] for response in answered], shard, model.device))
    progress(len(known))
    remaining = [question for question in task.questions if question.item.id not in known]
    batches = plan_batches(
        [question.tokens for question in remaining], batch_size=how.batch_size, batch_tokens=how.batch_tokens
    )

    def compute(numbers: list[int]) -> Sequence[Tensor]:
        start = time.perf_counter()
        results = _ask_batch(model, prompts, [remaining[number] for number in numbers], how)
        if model.device.type == "cuda":  # which works ahead of us
            torch.cuda.synchronize(model.device)
        seconds = torch.tensor([time.perf_counter() - start], device=model.device)
        return [seconds, *results]

    for numbers, (seconds, *results) in in_turns(batches, compute, shard):
        responses = _responses(prompts, [remaining[number] for number in numbers], results, model)
        file.append(responses)
        add_timing(folder, task.name, responses, float(seconds))
        answered += responses
        progress(len(numbers))
    by_id = {response["doc_id"]: response for response in answered}
    return [by_id[question.item.id] for question in task.questions if answered]


def response_of(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a sample that come from the response itself."""
    keys = [*RESPONSE_KINDS, *(key for key in ("log_likelihoods",) if key in sample)]
    return {key: sample[key] for key in keys} | {"response": sample["resps"][0][0]}


def _ask_batch(
    model: Any, prompts: PromptFormat, questions: Sequence[Question], how: GenerationSettings
) -> tuple[Tensor, ...]:
    """Tokens (b, new), layers (b,) and, for choices, log-likelihoods of the options (b, n).

    What a connection draws (a random layer, Gumbel noise) depends on the batch alone, and is the same for the
    response and for the options.
    """
    ids = [question.prompt.ids for question in questions]
    parallel = [question.parallel.ids for question in questions if question.parallel]
    with _seeded(questions):
        generated = generate_batch(model, prompts, ids, parallel or None, max_new_tokens=how.max_new_tokens)
    if not (how.log_likelihood and all(question.option_ids for question in questions)):
        return generated
    with _seeded(questions):
        return *generated, option_log_likelihoods(model, prompts, questions)


@contextmanager
def _seeded(questions: Sequence[Question]) -> Iterator[None]:
    """A block that draws by a seed of its own, made of the questions."""
    digest = hashlib.sha256(json.dumps([question.prompt.ids for question in questions]).encode()).digest()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(digest[:6]))
        yield


def _responses(
    prompts: PromptFormat, questions: Sequence[Question], results: Sequence[Tensor], model: Any
) -> list[dict[str, Any]]:
    """The results of `_ask_batch` as `response_of` names them."""
    stops = set(stop_tokens(model, prompts))
    tokens, layers, *scores = (tensor.tolist() for tensor in results)
    responses = []
    for row, question in enumerate(questions):
        end = next((place for place, token in enumerate(tokens[row]) if token in stops), None)
        written = tokens[row][:end]
        answer = answer_of(prompts, tokens[row], layers[row])
        response: dict[str, Any] = {
            "doc_id": question.item.id,
            "response": answer.text,
            "last_tokens": prompts.response_text(written[-LAST_TOKENS:]),
            "new_tokens": len(written),
            "stopped": end is not None,
            "connected": answer.connected,
            "layer": answer.layer,
        }
        if scores:  # padded where other questions of the batch have more options
            response["log_likelihoods"] = dict(zip(question.item.options or (), scores[0][row], strict=False))
        responses.append(response)
    return responses
