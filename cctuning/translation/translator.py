"""Interface of translators, and their results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class TranslationError(ValueError):
    """A translator that cannot be used, or cannot translate between two languages; the message says why."""


class UnknownSourceError(TranslationError):
    """A translator that does not know the language of a text."""


@dataclass(frozen=True)
class Untranslated:
    """In place of a translation: why the text could not be translated, or not to its end."""

    reason: str


class Translator(Protocol):
    """Translates texts from one language into another, each whole or not at all."""

    @property
    def name(self) -> str:
        """All that its translations depend on: kind, model and settings. The cache goes by it."""

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[str | Untranslated]:
        """A translation, or why there is none, for each of `texts`, in their order.

        What the other texts are does not matter to a text's translation. `source` and `target` are language
        codes as in rows (`sw`, `zh-Hans`). Raises `UnknownSourceError` for a `source` that it does not know,
        and another `TranslationError` for such a `target`.
        """


@dataclass(frozen=True)
class Translation:
    """Result of translating one text."""

    text: str  # "" where there is no translation
    faults: tuple[str, ...]  # what `checks.faults` found, or why there is none; empty: as it should be
    translator: str  # the name of the one that wrote it; "" where the text is in the target language already


def output_limit(tokens: int) -> int:
    """The most tokens that the translation of a text of so many may have.

    In steps, so that texts of like length share a batch whose limit is the limit of each of them.
    """
    return 64 * math.ceil((2 * tokens + 32) / 64)


def not_ended(limit: int) -> str:
    """The reason for a translation that is cut off."""
    return f"has a translation that does not end within {limit:,} tokens"
