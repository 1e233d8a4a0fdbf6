"""Rows that hold a question of a benchmark, in its language or in English."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cctuning.data.fields import type_name
from cctuning.data.formats import DataError
from cctuning.data.rows import Row
from cctuning.data.sources import Source, find_sources
from cctuning.evaluation.items import known_issues
from cctuning.preparation.files import BENCHMARK_TRANSLATIONS
from cctuning.preparation.shingles import (
    WIDE_WIDTH,
    WIDTH,
    Grams,
    Shingles,
    distinctive,
    frame,
    grams,
    shingles,
)
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.progress import progress_bar, tracked

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMNS = ("prompt", "prompt_en")  # of a benchmark file, in the format of cctuning evaluate's local files
# Shingles of its own: a question with fewer, such as "Who won?", could be in any text. Those of Chinese,
# Japanese and Korean are words or more.
FEWEST = {WIDTH: 12, WIDE_WIDTH: 6}
_NO_QUESTIONS = {known_issues.FILE, BENCHMARK_TRANSLATIONS}  # what lies beside them
_AT_ONCE = 2000

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Question:
    """A text of a benchmark."""

    file: str
    id: str
    column: str  # one of COLUMNS
    text: str
    shingles: Shingles  # its own: without those of the frame around all questions of its file
    can_be_found: bool  # whether these are enough to know it by


@dataclass(frozen=True)
class Overlap:
    """A row, and the question that it holds the largest part of."""

    row: Row
    question: Question
    containment: float  # the share of the question's shingles that the row has


def read_questions(names: Sequence[str]) -> tuple[list[Question], int]:
    """The different texts of benchmark files that can be looked for, and how many are too short for that.

    Args:
        names: files, folders or globs of local benchmark files, with `prompt` or `prompt_en` and `id`.

    The lists of faults and of translations beside the files are left out.
    Raises `DataError` for a file that cannot be read or has neither column.
    """
    sources = [source for source in find_sources(names) if Path(source.name).name not in _NO_QUESTIONS]
    if not sources:
        raise DataError(f"{', '.join(names)}: no benchmark file, only {' or '.join(sorted(_NO_QUESTIONS))}")
    questions: dict[str, Question] = {}
    cut = functools.cache(grams)  # the same English prompts stand beside every language
    for source in tracked(sources, "benchmarks"):
        for question in _of_file(source, cut):
            questions.setdefault(question.text, question)
    long = [question for question in questions.values() if question.can_be_found]
    return long, len(questions) - len(long)


def overlaps(rows: Sequence[Row], questions: Sequence[Question], *, threshold: float) -> list[Overlap]:
    """The rows that hold at least the share `threshold` of a question's own shingles; none is missed.

    A row's text is its prompt and response together; its English prompt and response are looked at alike.
    """
    if not questions or not rows:
        return []
    vocabulary = np.unique(np.concatenate([question.shingles for question in questions]))
    of_questions = _matrix([question.shingles for question in questions], vocabulary)
    with progress_bar("benchmark overlap", 2 * len(rows), transient=True) as bar:

        def counted(text: str) -> Shingles:
            bar.advance()
            return shingles(text)

        texts = [
            _matrix([counted(f"{row.instruction}\n{row.output}") for row in rows], vocabulary),
            _matrix([counted(f"{row.instruction_en}\n{row.output_en or ''}") for row in rows], vocabulary),
        ]
    seen = np.bincount(np.concatenate([text.indices for text in texts]), minlength=vocabulary.size)
    needed = np.array([math.ceil(threshold * question.shingles.size - 1e-9) for question in questions])
    rarest = _rarest(of_questions, seen, needed)
    by_row: dict[int, Overlap] = {}
    for text in texts:
        for number, question, shared in _held(text, of_questions, rarest, needed):
            share = shared / questions[question].shingles.size
            if number not in by_row or share > by_row[number].containment:
                by_row[number] = Overlap(rows[number], questions[question], share)
    return [by_row[number] for number in sorted(by_row)]


def _rarest(of_questions: csr_array, seen: Counts, needed: Counts) -> csr_array:
    """Of each question as many of its rarest shingles that a text with none of them lacks too many.

    So a text has to have one of them to hold the question, and few texts do.
    """
    columns, ends = [], [0]
    for number, (start, end) in enumerate(pairwise(of_questions.indptr)):
        of_question = of_questions.indices[start:end]
        order = np.lexsort((of_question, seen[of_question]))
        columns.append(of_question[order[: of_question.size - needed[number] + 1]])
        ends.append(ends[-1] + columns[-1].size)
    places = np.concatenate(columns)
    return _csr(places, ends, of_questions.shape)


def _held(
    texts: csr_array, of_questions: csr_array, rarest: csr_array, needed: Counts
) -> Iterator[tuple[int, int, int]]:
    """(text, question, shared shingles) of all texts that have enough of a question's shingles."""
    by_shingle = rarest.T.tocsr()
    for start in range(0, texts.shape[0], _AT_ONCE):
        candidates = (texts[start : start + _AT_ONCE] @ by_shingle).tocoo()
        numbers, questions = candidates.row + start, candidates.col
        for first in range(0, questions.size, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            shared = texts[numbers[part]].multiply(of_questions[questions[part]]).sum(axis=1)
            for place in np.flatnonzero(shared >= needed[questions[part]]):
                yield int(numbers[part][place]), int(questions[part][place]), int(shared[place])


def _matrix(texts: Sequence[Shingles], vocabulary: Shingles) -> csr_array:
    """(texts, vocabulary): 1 where a text has a shingle; those outside of the vocabulary are left out."""
    columns = []
    for text in texts:
        found = np.minimum(np.searchsorted(vocabulary, text), vocabulary.size - 1)
        columns.append(found[vocabulary[found] == text])
    ends = np.cumsum([0, *(column.size for column in columns)])
    places = np.concatenate(columns)
    return _csr(places, ends, (len(texts), vocabulary.size))


def _csr(places: Any, ends: Any, shape: tuple[int, ...]) -> csr_array:
    """A sparse matrix with ones at these columns of its rows."""
    from scipy.sparse import csr_array  # here: it takes long, and `--help` does without it

    return csr_array((np.ones(places.size, dtype=np.int32), places, ends), shape)


def _of_file(source: Source, cut: Callable[[str], Grams]) -> Iterator[Question]:
    """The questions of one file, in both columns."""
    records = list(source.records())
    for record in records:
        if record.fault or not isinstance(record.values, dict):
            fault = record.fault or f"is {type_name(record.values)}, must be an object"
            raise DataError(f"{source.name}, row {record.number}: {fault}")
    columns: set[str] = set().union(*(record.values for record in records))
    if not columns & set(COLUMNS):
        raise DataError(
            f"{source.name} is no benchmark file: it has neither prompt nor prompt_en"
            f"{did_you_mean('prompt', columns)}"
        )
    for column in COLUMNS:
        with_text = [record for record in records if isinstance(record.values.get(column), str)]
        texts = [cut(record.values[column]) for record in with_text]
        shared = frame(texts)
        for record, text in zip(with_text, texts, strict=True):
            identity = str(record.values.get("id", record.number))
            kept = distinctive(text, shared)
            is_long = kept.size >= FEWEST[text.width]
            yield Question(source.name, identity, column, record.values[column], kept, is_long)
