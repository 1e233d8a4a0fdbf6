"""Tasks of an evaluation: a benchmark in one language, and the questions asked of it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.prompting import prompts_of
from cctuning.evaluation.asking.questions import Question, encode_questions, fault
from cctuning.evaluation.asking.shots import ANSWERS_BEHIND, NO_SHOTS, Shots
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.selection import ItemSet

# Texts, the language they are in and the one that is wanted -> their translations; None where there is none.
Translate = Callable[[Sequence[str], str, str], Sequence[str | None]]


@dataclass(frozen=True)
class Task:
    """A benchmark in one language."""

    benchmark: Benchmark
    language: str
    questions: Sequence[Question]

    @property
    def name(self) -> str:
        """As in file names and results: xnli_sw."""
        return f"{self.benchmark.name}_{self.language}"

    def prompts(self) -> Iterator[list[int]]:
        """The tokens of all prompts, parallel ones too."""
        for question in self.questions:
            yield from (prompt.ids for prompt in (question.prompt, question.parallel) if prompt)

    def fingerprint(self) -> str:
        """A hash of all that is asked, to the token, and of the gold answers."""
        digest = hashlib.sha256()
        for question in self.questions:
            item = question.item
            content = [item.id, question.prompt, question.parallel, question.option_ids]
            digest.update(json.dumps([*content, item.answers, dict(item.options or {})]).encode())
        return digest.hexdigest()


def make_task(
    item_set: ItemSet,
    prompts: PromptFormat,
    *,
    mode: str,
    prompting: str = "original",
    translate: Translate | None = None,
    shots: Shots = NO_SHOTS,
) -> Task:
    """The task of some items in an inference mode: `bilingual` takes their parallel prompts as they are,
    `translated` has `translate` make them from what is asked, the other modes need none. Where there is no
    translation the text itself takes its place, as for an English row, and the question says so. `shots`
    stand before all of them.
    """
    benchmark = item_set.benchmark
    texts = [prompts_of(item, benchmark, prompting=prompting) for item in item_set.items]
    prompt_texts = [text for text, _ in texts]
    parallel = [text for _, text in texts] if mode == "bilingual" else None
    untranslated: set[int] = set()
    if mode == "translated":
        assert translate is not None
        # In one language: pim puts two into one prompt.
        texts_to_translate = [
            prompts_of(item, benchmark, prompting="original" if prompting == "pim" else prompting)[0]
            for item in item_set.items
        ]
        languages = (item_set.language, "en")
        translated = translate(
            texts_to_translate, *(languages[::-1] if benchmark.asked_in_english else languages)
        )
        parallel = [text or other for text, other in zip(translated, texts_to_translate, strict=True)]
        untranslated = {number for number, text in enumerate(translated) if not text}
    prompt_texts = [shots.text + text for text in prompt_texts]
    if parallel is not None:
        parallel = [shots.parallel + text if text else "" for text in parallel]
    separator = ANSWERS_BEHIND if shots.text else " "
    questions = encode_questions(item_set.items, prompt_texts, parallel, prompts, separator=separator)
    questions = [
        replace(question, untranslated=number in untranslated) for number, question in enumerate(questions)
    ]
    return Task(benchmark, item_set.language, questions)


def joined_options_warning(tasks: Sequence[Task]) -> str | None:
    """A warning where a tokenizer joins options with the prompts' ends; None where it joins none."""
    joined = [(task.name, question) for task in tasks for question in task.questions if question.joined]
    if not joined:
        return None
    name, question = joined[0]
    return (
        f"of {len(joined):,} questions (the first: {name}, id {question.item.id!r}) the prompt ends in "
        f"{question.prompt.text[-2:]!r}, which the tokenizer joins with an option behind it: what is scored "
        "are tokens apart, as the model rarely reads them. Take the blank off the end of the prompts"
    )


def split_faulty(
    task: Task,
    item_set: ItemSet,
    prompts: PromptFormat,
    *,
    positions: int | None,
    new_tokens: int,
    leave_out: bool,
    both_answered: bool = False,
) -> tuple[Task, ItemSet]:
    """The task and its items without the questions that the model cannot be asked (`questions.fault`).

    Raises `ValueError` for the first of them unless they are to be left out.
    """
    faults: dict[str, list[int | str]] = {}
    for question in task.questions:
        if reason := fault(question, prompts, positions, new_tokens, both_answered=both_answered):
            item = question.item
            if not leave_out:
                raise ValueError(
                    f"{item.file or task.benchmark.title}, row {item.number}, id {item.id!r}: "
                    f"{reason.message}. Set on_bad_prompt=leave_out to ask the others"
                )
            faults.setdefault(reason.kind, []).append(item.id)
    removed = {id for ids in faults.values() for id in ids}
    kept = [question for question in task.questions if question.item.id not in removed]
    if not kept:
        reasons = ", ".join({**item_set.left_out, **faults})
        raise ValueError(f"{task.name}: no question is left that could be asked (left out: {reasons})")
    return Task(task.benchmark, task.language, kept), item_set.without(faults)
