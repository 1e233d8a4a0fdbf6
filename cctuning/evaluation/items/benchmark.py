"""Definition of a benchmark."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.prompt_templates import PromptTemplate
from cctuning.evaluation.items.raw_questions import ReadQuestions

Kind = Literal["choice", "short_answer", "summary"]


@dataclass(frozen=True)
class Metric:
    """A score of one response, in [0, 1]. Its key in results is `name,rule`, as in lm-evaluation-harness."""

    name: str  # such as accuracy, exact_match, f1, rougeL
    rule: str  # paper: as the papers state it; strict: this project's own
    score: Callable[[str, Item], float]

    @property
    def key(self) -> str:
        """Its key in results."""
        return f"{self.name},{self.rule}"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its languages, how its responses are scored, and which prompt is asked.

    `metrics[0]` is the one that the papers report.
    """

    name: str  # as in commands and file names: xnli
    title: str  # as the papers write it, and the folder of its local files: XNLI
    kind: Kind
    languages: tuple[str, ...]  # the paper's
    metrics: tuple[Metric, ...]
    questions: ReadQuestions | None = None  # from its sets on the hub
    sample_size: int | None = None  # how many questions of a language the paper took; None: all
    labels: tuple[str, ...] | None = None  # of a choice whose items all have the same labels
    parallel: bool = True  # the same id is the same question in every language
    asked_in_english: bool = False  # prompt_en is asked, and the connection comes from the language's prompt
    folder: Path | None = None  # of a benchmark of one's own: where its files lie, unless data= has them
    # Of one whose rows hold fields in place of prompts: by language, "" for all others.
    prompts: Mapping[str, PromptTemplate] | None = None

    def data_in(self, data: str) -> str:
        """The folder with its files, where a recipe names `data`."""
        if self.folder is None or (Path(data) / self.title).is_dir():
            return data
        return str(self.folder)
