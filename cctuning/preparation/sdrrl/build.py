"""From picks, the model's answers and their translations to rows."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cctuning.data.fields import UNKNOWN_LANGUAGE, is_english
from cctuning.data.rows import Problem, Row
from cctuning.preparation.sdrrl.draw import Pick, Serves
from cctuning.preparation.sdrrl.kinds import (
    ANSWERED,
    NO_EXCHANGE,
    SWITCHED,
    TranslatedAnswer,
    answered_row,
    halved_row,
    halved_text,
    needs_translation,
    switched_row,
)
from cctuning.preparation.sdrrl.parallel import FEWEST_TEXTS, Alignment, WordPair
from cctuning.preparation.sdrrl.switching import ParallelText, Switchable
from cctuning.tools.progress import Update
from cctuning.translation import Translation, TranslationError
from cctuning.translation.languages import find_language

Translations = Mapping[tuple[str, str], Translation]  # by language and English text


class Bilingual(Protocol):
    """Source of the words of parallel texts that can be exchanged: an alignment, or a lexicon."""

    def switchable(self, text: ParallelText) -> tuple[Switchable, Switchable]:
        """The English text and the other one."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The model's answers to English prompts, and what is wrong with those that are of no use."""

    good: Mapping[str, str]
    faults: Mapping[str, str]


class Built(NamedTuple):
    """The added rows with their kinds, the base rows that became none, and the aligner's word pairs."""

    rows: list[Row]
    kinds: list[str]
    problems: list[Problem]
    word_pairs: dict[str, Counter[WordPair]]  # by language


class BaseRowsError(ValueError):
    """Base rows from which nothing can be made."""


def usable_base_rows(rows: Sequence[Row]) -> tuple[list[Row], list[Problem]]:
    """The rows whose language has a name to ask for, and why the others have none.

    Raises `BaseRowsError` where nothing can be made of what is left: no row, or all of them are English.
    """
    usable, problems = [], []
    for row in rows:
        if (fault := _language_fault(row.language)) is None:
            usable.append(row)
        else:
            problems.append(row.problem("language", fault))
    if not usable:
        raise BaseRowsError(
            f"no row says a language that can be used ({len(rows)} rows), the first is {problems[0]}: add a "
            "column language, or set --language"
        )
    if all(is_english(row.language) for row in usable):
        others = f" but {len(problems)} of no known language" if problems else ""
        raise BaseRowsError(
            f"all rows are English{others}: there is nothing to distil into; name rows of other languages"
        )
    return usable, problems


def _language_fault(language: str) -> str | None:
    if language == UNKNOWN_LANGUAGE:
        return "is unknown"
    try:
        find_language(language)
    except TranslationError as error:
        return str(error)
    return None


def parallel_texts(rows: Iterable[Row]) -> dict[str, list[ParallelText]]:
    """The parallel texts of each language: the prompts, and the responses that have an English one.

    English rows, and texts that are the same in both languages are left out.
    """
    texts: dict[str, dict[ParallelText, None]] = {}
    for row in rows:
        if is_english(row.language):
            continue
        of_language = texts.setdefault(row.language, {})
        pairs = [ParallelText(row.instruction_en, row.instruction)]
        if row.output_en is not None:
            pairs.append(ParallelText(row.output_en, row.output))
        of_language |= {text: None for text in pairs if text.english != text.other}
    return {language: list(of_language) for language, of_language in texts.items()}


def serving(switchable: Iterable[str]) -> Serves:
    """The kinds that a row can serve. `switchable`: the languages with an alignment or a lexicon."""
    languages = set(switchable)

    def serves(kind: str, row: Row) -> bool:
        if kind == "english":
            return True
        if row.instruction == row.instruction_en:  # a translation that was forgotten
            return False
        if kind in SWITCHED:
            return row.language in languages
        return kind in ANSWERED or halved_text(row) is not None

    return serves


def alignable(texts: Mapping[str, Sequence[ParallelText]], lexicons: Iterable[str]) -> list[str]:
    """The languages whose words can be exchanged, by a lexicon or with enough parallel texts to align."""
    return sorted({*lexicons, *(language for language in texts if len(texts[language]) >= FEWEST_TEXTS)})


def questions(picks: Iterable[Pick]) -> list[str]:
    """The English prompts that the model is asked, each once."""
    return list(dict.fromkeys(pick.row.instruction_en for pick in picks if pick.kind in ANSWERED))


def to_translate(picks: Iterable[Pick], answers: Answers) -> dict[str, list[str]]:
    """The answers that are needed in each language, each once."""
    texts: dict[str, dict[str, None]] = {}
    for pick in picks:
        if needs_translation(pick) and pick.row.instruction_en in answers.good:
            texts.setdefault(pick.row.language, {})[answers.good[pick.row.instruction_en]] = None
    return {language: list(texts[language]) for language in sorted(texts)}


def build(
    picks: Sequence[Pick],
    texts: Mapping[str, Sequence[ParallelText]],
    answers: Answers,
    translations: Translations,
    lexicons: Mapping[str, Bilingual],
    *,
    switched: float,
    seed: int,
    progress: Callable[[str], Update],
) -> Built:
    """The row of each pick, or why there is none.

    Args:
        picks: which base row is to become a row of which kind.
        texts: the parallel texts of each language, to align with one another.
        answers: to all `questions` of the picks.
        translations: of all texts that are `to_translate`.
        lexicons: for languages that are not aligned.
        switched: the share of a text's words that are exchanged.
        seed: of the alignment, and of what is drawn.
        progress: of a language, the function that is called with its alignment's progress.
    """
    answered: list[TranslatedAnswer | Problem | None] = [
        _answer_to(pick, answers, translations) for pick in picks
    ]
    wanted: dict[str, list[ParallelText]] = {}
    for pick, result in zip(picks, answered, strict=True):
        if pick.kind in SWITCHED and isinstance(result, TranslatedAnswer):
            wanted.setdefault(pick.row.language, []).append(_switched_text(pick, result))
    bilingual: dict[str, Bilingual] = dict(lexicons)
    word_pairs = {}
    for language in sorted(wanted.keys() - lexicons.keys()):
        alignment = Alignment([*texts[language], *wanted[language]], seed=seed, progress=progress(language))
        bilingual[language] = alignment
        word_pairs[language] = alignment.word_pairs
    built = Built([], [], [], word_pairs)
    for pick, result in zip(picks, answered, strict=True):
        made = result if isinstance(result, Problem) else _row(pick, result, bilingual, switched, seed)
        if isinstance(made, Problem):
            built.problems.append(made)
        else:
            built.rows.append(made)
            built.kinds.append(pick.kind)
    return built


def _answer_to(pick: Pick, answers: Answers, translations: Translations) -> TranslatedAnswer | Problem | None:
    """The model's answer for a pick; why it is of no use; None for the kinds that need no answer."""
    if pick.kind not in ANSWERED:
        return None
    question = pick.row.instruction_en
    if fault := answers.faults.get(question):
        return pick.row.problem("answer", f"of the model to the English prompt ({pick.kind}) {fault}")
    answer = answers.good[question]
    if not needs_translation(pick):
        return TranslatedAnswer(answer, None)
    translation = translations[pick.row.language, answer]
    if translation.faults:
        return pick.row.problem("translation", f"of the answer ({pick.kind}) {'; '.join(translation.faults)}")
    return TranslatedAnswer(answer, translation.text)


def _switched_text(pick: Pick, answer: TranslatedAnswer) -> ParallelText:
    """The parallel texts of which one is switched."""
    if pick.kind == "switched_prompt":
        return ParallelText(pick.row.instruction_en, pick.row.instruction)
    assert answer.translation is not None
    return ParallelText(answer.answer, answer.translation)


def _row(
    pick: Pick,
    answer: TranslatedAnswer | None,
    bilingual: Mapping[str, Bilingual],
    switched: float,
    seed: int,
) -> Row | Problem:
    language = find_language(pick.row.language).name
    rng = random.Random(f"{seed}:{pick.kind}:{pick.row.language}:{pick.row.id}")
    if answer is None:
        text = halved_text(pick.row)
        assert text is not None, "a pick that cannot be halved"
        return halved_row(pick, text, language, rng=rng)
    if pick.kind not in SWITCHED:
        return answered_row(pick, answer, language)
    texts = bilingual[pick.row.language].switchable(_switched_text(pick, answer))
    row = switched_row(pick, answer, texts, share=switched, rng=rng)
    return row or pick.row.problem(pick.kind, NO_EXCHANGE)
