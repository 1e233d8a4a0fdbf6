"""The model's own English answers, kept in a file as they come: a stopped run goes on where it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cctuning.connection.connected import is_connected
from cctuning.data.batches import plan_batches
from cctuning.data.fields import is_blank
from cctuning.data.language_id import language_consistency
from cctuning.data.prompts import PromptFormat
from cctuning.generation.generate import generate_batch
from cctuning.generation.rules import stop_tokens
from cctuning.pretrained.loading import positions_of
from cctuning.tools.growing_files import BrokenLineError, add_lines, recover_lines
from cctuning.tools.locks import only_user_of
from cctuning.tools.progress import Update


class AnswersError(ValueError):
    """A file of answers that cannot be gone on with."""


@dataclass(frozen=True, slots=True)
class EnglishAnswer:
    """Answer of the model, and whether it came to an end by itself."""

    text: str
    stopped: bool


def english_answers(
    model: Any,
    prompts: PromptFormat,
    questions: Iterable[str],
    *,
    model_name: str,
    kept: str | Path,
    max_new_tokens: int,
    batch_size: int,
    progress: Update = lambda done, total: None,
) -> dict[str, EnglishAnswer]:
    """Greedy answers to English questions, each distinct one asked once.

    A connected run is connected to the question itself, as it was trained with English rows. Each batch is
    added to the file `kept`; what it holds of the same `model_name`, dtype, template and `max_new_tokens` is
    not asked again.
    Raises `AnswersError` for a file of something else, and `LockedError` where another process uses it.
    """
    distinct = list(dict.fromkeys(questions))
    key = {
        "model": model_name,
        "dtype": str(model.dtype).removeprefix("torch."),
        "template": prompts.template_hash,
        "max_new_tokens": max_new_tokens,
    }
    with only_user_of(kept):
        known = _recover(Path(kept), key)
        missing = [question for question in distinct if question not in known]
        ids = prompts.prompts_ids(missing)
        stops = set(stop_tokens(model, prompts))
        done = 0
        for numbers in plan_batches([len(prompt) for prompt in ids], batch_size=batch_size):
            batch = [ids[number] for number in numbers]
            parallel = batch if is_connected(model) else None
            generated = generate_batch(model, prompts, batch, parallel, max_new_tokens=max_new_tokens)
            answers = {
                missing[number]: EnglishAnswer(prompts.response_text(tokens), bool(stops & set(tokens)))
                for number, tokens in zip(numbers, generated.tokens.tolist(), strict=True)
            }
            _append(Path(kept), key, answers)
            known |= answers
            done += len(numbers)
            progress(done, len(missing))
    return {question: known[question] for question in distinct}


def question_faults(
    model: Any, prompts: PromptFormat, questions: Iterable[str], *, max_new_tokens: int
) -> dict[str, str]:
    """The questions that cannot be asked, and why: a special token in them, or no room for an answer."""
    distinct = list(dict.fromkeys(questions))
    room = positions_of(model.config) or float("inf")
    faults = {}
    for question, ids in zip(distinct, prompts.prompts_ids(distinct), strict=True):
        if token := prompts.control_token(question):
            faults[question] = f"cannot be had: the prompt holds {token}, a token of the model's own"
        elif len(ids) + max_new_tokens > room:
            faults[question] = f"cannot be had: with the prompt it may exceed the model's {room:,} tokens"
    return faults


def answer_faults(answers: Mapping[str, EnglishAnswer]) -> dict[str, str]:
    """The questions whose answer is of no use, and why."""
    faults = ((question, answer_fault(answer)) for question, answer in answers.items())
    return {question: fault for question, fault in faults if fault}


def answer_fault(answer: EnglishAnswer) -> str | None:
    """The fault of an answer; None for none. The language of a short one cannot be identified."""
    if is_blank(answer.text):
        return "is empty"
    if not answer.stopped:
        return "does not end within the limit"
    if language_consistency(answer.text, "en") == 0:
        return "is not in English"
    return None


def _append(path: Path, key: dict[str, Any], answers: dict[str, EnglishAnswer]) -> None:
    """Adds answers to the file, and has them on the disk before it returns."""
    add_lines(
        path,
        (
            {**key, "question": question, "answer": answer.text, "stopped": answer.stopped}
            for question, answer in answers.items()
        ),
    )


def _recover(path: Path, key: dict[str, Any]) -> dict[str, EnglishAnswer]:
    """The answers that were given under `key`; a last line that a kill has cut is taken away."""

    def read(values: Any) -> tuple[dict[str, Any], str, EnglishAnswer]:
        answer = EnglishAnswer(str(values["answer"]), values["stopped"] is True)
        return {name: values[name] for name in key}, str(values["question"]), answer

    try:
        lines = recover_lines(path, read)
    except BrokenLineError as error:
        raise AnswersError(
            f"{error}: is no line of a file of answers: take the line away, or name another output"
        ) from error
    return {question: answer for given_under, question, answer in lines if given_under == key}
