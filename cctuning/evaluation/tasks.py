"""Tasks of an evaluation: a benchmark in one language, and the questions asked of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from cctuning.evaluation.benchmark import Benchmark
from cctuning.evaluation.questions import Question


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

    def fingerprint(self) -> str:
        """A hash of all that is asked, to the token, and of the gold answers."""
        digest = hashlib.sha256()
        for question in self.questions:
            item = question.item
            asked = [item.id, question.asked, question.parallel, question.option_ids]
            digest.update(json.dumps([*asked, item.answers, dict(item.options or {})]).encode())
        return digest.hexdigest()
