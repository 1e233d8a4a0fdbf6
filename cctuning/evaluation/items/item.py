"""One question of a benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """One question of a benchmark in one language.

    The same id in two languages is the same question, except where the benchmark is not parallel.
    """

    id: int | str
    language: str
    prompt: str  # "" where the benchmark asks in English and has no translation into the language
    prompt_en: str  # its English parallel; for an English item the same text; "" where there is none
    answers: tuple[str, ...]  # gold strings; of a choice, one label
    options: Mapping[str, str] | None = None  # of a choice: the option texts by label, in order
    details: Mapping[str, Any] = field(default_factory=dict)  # what else the source says of it
    file: str = ""  # where it comes from, for messages
    number: int = 0  # its line or row there, from 1
