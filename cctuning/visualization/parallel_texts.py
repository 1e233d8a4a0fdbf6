"""Sentences that are there in several languages, from training rows or the questions of a benchmark."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cctuning.data.fields import UNKNOWN_LANGUAGE, is_english
from cctuning.data.rows import Row
from cctuning.evaluation.items.selection import ItemSet
from cctuning.settings.near_matches import did_you_mean

ENGLISH = "en"


@dataclass(frozen=True)
class Text:
    """A prompt in a language, and its English parallel, by which it belongs with those of other languages."""

    language: str
    text: str
    english: str


@dataclass(frozen=True)
class ParallelTexts:
    """n sentences in each of several languages: place i holds the same one in all of them."""

    texts: Mapping[str, tuple[str, ...]]  # by language, n each
    english: tuple[str, ...]  # the English parallel of each, n

    def __len__(self) -> int:
        return len(self.english)


def texts_of_rows(rows: Iterable[Row]) -> list[Text]:
    """The prompts of training rows, and each row's English parallel as another text."""
    named = [row for row in rows if row.language != UNKNOWN_LANGUAGE]
    texts = [Text(row.language, row.instruction, row.instruction_en) for row in named]
    return [*texts, *_english_of(texts)]


def texts_of_items(sets: Iterable[ItemSet]) -> list[Text]:
    """The prompts of a benchmark's questions, less those that lack one in either language."""
    items = [item for item_set in sets for item in item_set.items if item.prompt and item.prompt_en]
    texts = [Text(item.language, item.prompt, item.prompt_en) for item in items]
    return [*texts, *_english_of(texts)]


def _english_of(texts: Sequence[Text]) -> list[Text]:
    return [Text(ENGLISH, text.english, text.english) for text in texts if not is_english(text.language)]


def draw_parallel(
    texts: Iterable[Text], *, languages: Sequence[str] = (), count: int, seed: int
) -> ParallelTexts:
    """Draws `count` sentences, or as many as there are, that are there in all `languages`.

    By default in all languages of `texts`, in the order of the alphabet. A text that is the same for two
    sentences counts once, since nothing could tell them apart. Raises `ValueError` for a language without
    texts, fewer than two languages, and fewer than two common sentences.
    """
    by_language: dict[str, dict[str, str]] = {}
    for text in texts:
        by_language.setdefault(text.language, {}).setdefault(text.english.strip(), text.text)
    chosen = list(languages) or sorted(by_language)
    _check_languages(chosen, by_language)
    common = sorted(set.intersection(*(set(by_language[language]) for language in chosen)))
    random.Random(seed).shuffle(common)
    taken: list[str] = []
    seen: dict[str, set[str]] = {language: set() for language in chosen}
    for english in common:
        versions = {language: by_language[language][english].strip() for language in chosen}
        if len(taken) < count and not any(versions[language] in seen[language] for language in chosen):
            taken.append(english)
            for language in chosen:
                seen[language].add(versions[language])
    if len(taken) < 2:
        raise ValueError(_too_few(chosen, by_language, len(taken)))
    return ParallelTexts(
        {language: tuple(by_language[language][english] for english in taken) for language in chosen},
        tuple(taken),
    )


def _check_languages(chosen: Sequence[str], by_language: Mapping[str, Mapping[str, str]]) -> None:
    if not by_language:
        raise ValueError("no text has a language and an English parallel: nothing to compare")
    for language in chosen:
        if language not in by_language:
            known = ", ".join(f"{name} ({len(by_language[name]):,})" for name in sorted(by_language))
            raise ValueError(
                f"languages: no texts in {language!r}{did_you_mean(language, by_language)}; "
                f"there are texts in {known}"
            )
    if len(chosen) < 2:
        raise ValueError(f"languages: {', '.join(chosen)} alone: a comparison needs two languages or more")


def _too_few(chosen: Sequence[str], by_language: Mapping[str, Mapping[str, str]], count: int) -> str:
    shared = {
        pair: len(set(by_language[pair[0]]) & set(by_language[pair[1]])) for pair in combinations(chosen, 2)
    }
    few = sorted(shared, key=lambda pair: shared[pair])[:3]
    listed = "; ".join(f"{first} and {second}: {shared[first, second]:,}" for first, second in few)
    return (
        f"{count} sentence{'s' * (count != 1)} in all of {', '.join(chosen)}, and a comparison needs two or "
        f"more. Sentences belong together where their English versions are equal (the fewest in common: "
        f"{listed}); name languages=[...] that share more, or other texts"
    )
