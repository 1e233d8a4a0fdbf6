"""Questions of a study: each set as the engine takes them, in pieces that are kept whole."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cctuning.analysis.probing.directions import DirectedSet
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.questions import Prompt
from cctuning.evaluation.asking.samples import document
from cctuning.evaluation.asking.shots import NO_SHOTS, Shots
from cctuning.evaluation.asking.tasks import Task, make_task, split_faulty
from cctuning.evaluation.comparison.evaluations import fingerprint
from cctuning.evaluation.items.benchmark import Metric
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet
from cctuning.settings.changes import WITHOUT_EFFECT


@dataclass(frozen=True)
class ProbeTask:
    """A benchmark in one language: prompts, each with the one that activations come from."""

    task: Task  # its questions have both prompts; the parallel one is the source
    sources: Sequence[Item]  # of the source prompts, in the questions' order
    asked_in: str  # language of the prompts
    sources_of: str  # the language whose questions the sources are
    item_set: ItemSet  # of the questions, and what was left out

    @property
    def benchmark(self) -> str:
        """Its name, as in commands."""
        return self.task.benchmark.name

    @property
    def language(self) -> str:
        """The language of the questions; the centre language is the other one of each pair."""
        return self.task.language

    @property
    def metric(self) -> Metric:
        """The one that the papers report."""
        return self.task.benchmark.metrics[0]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of each question and its gold answers, as in evaluations of the same data."""
        return tuple(
            fingerprint(document(question.item), question.item.answers) for question in self.task.questions
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """The questions' ids, as text."""
        return tuple(str(question.item.id) for question in self.task.questions)


def make_probe_task(
    directed: DirectedSet,
    prompts: PromptFormat,
    *,
    positions: int | None,
    new_tokens: int,
    leave_out: bool = False,
    shots: Shots = NO_SHOTS,
) -> ProbeTask:
    """The task of a directed set, less the questions that the model cannot be asked.

    `shots` stand before both prompts of each.

    Raises `ValueError` for the first of them, unless they are to be left out (`split_faulty`).
    """
    item_set = directed.item_set
    sources = {item.id: source for item, source in zip(item_set.items, directed.sources, strict=True)}
    task, kept = split_faulty(
        make_task(item_set, prompts, mode="bilingual", shots=shots),
        item_set,
        prompts,
        positions=positions,
        new_tokens=new_tokens,
        leave_out=leave_out,
        both_answered=True,
    )
    ordered = [sources[question.item.id] for question in task.questions]
    return ProbeTask(judged_by(task, directed.judges), ordered, directed.asked_in, directed.sources_of, kept)


def judged_by(task: Task, judges: Sequence[Item]) -> Task:
    """The same prompts, with the items as the data have them."""
    by_id = {item.id: item for item in judges}
    return replace(
        task, questions=[replace(question, item=by_id[question.item.id]) for question in task.questions]
    )


@dataclass(frozen=True)
class ProbeQuestion:
    """One prompt pair and who judges the answer; without `source`, the prompt is asked as it is."""

    item: Item
    prompt: Prompt
    source: Prompt | None = None
    option_ids: tuple[tuple[int, ...], ...] = ()

    def content(self) -> list[Any]:
        """All that an answer and its score depend on, for a fingerprint."""
        item = self.item
        read = [str(item.id), self.prompt.ids, self.source and self.source.ids, self.option_ids]
        return [*read, item.answers, dict(item.options or {})]


@dataclass(frozen=True)
class Piece:
    """Questions whose cells lie in one file."""

    path: Path
    language: str
    questions: Sequence[ProbeQuestion]

    def fingerprint(self, settings: Mapping[str, Any]) -> str:
        """A hash of the questions, to the token, and of how they are asked."""
        counting = {name: value for name, value in settings.items() if name not in WITHOUT_EFFECT["probe"]}
        content = [counting, [question.content() for question in self.questions]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def pieces_of(folder: Path, probe: ProbeTask, size: int) -> list[Piece]:
    """The pieces of a task, `size` questions each, under `folder`."""
    questions = [
        ProbeQuestion(question.item, question.prompt, question.parallel, question.option_ids)
        for question in probe.task.questions
    ]
    return _split(folder / probe.benchmark / probe.language, probe.language, questions, size)


def source_pieces(folder: Path, probes: Sequence[ProbeTask], size: int) -> list[tuple[str, Piece]]:
    """The distinct source prompts of some tasks, asked as they are: English ones serve all languages.

    Each piece comes with the name of its benchmark.
    """
    sets: dict[tuple[str, str], dict[str, ProbeQuestion]] = {}
    for probe in probes:
        for question, item in zip(probe.task.questions, probe.sources, strict=True):
            assert question.parallel is not None
            known = sets.setdefault((probe.benchmark, probe.sources_of), {})
            options = question.parallel_option_ids
            known.setdefault(str(item.id), ProbeQuestion(item, question.parallel, None, options))
    return [
        (benchmark, piece)
        for (benchmark, language), by_id in sets.items()
        for piece in _split(folder / benchmark / language, language, list(by_id.values()), size)
    ]


def _split(folder: Path, language: str, questions: Sequence[ProbeQuestion], size: int) -> list[Piece]:
    starts = range(0, len(questions), size)
    # Named by their places: with another limit the last one may be shorter, and is another file then.
    return [
        Piece(
            folder / f"{start:05d}-{min(start + size, len(questions)) - 1:05d}.parquet",
            language,
            questions[start : start + size],
        )
        for start in starts
    ]
