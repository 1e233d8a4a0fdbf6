"""Strict scores of short answers: normalised exact match and F1, in the manner of MLQA's evaluation."""

from collections import Counter
from collections.abc import Sequence

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.articles import ARTICLES, PREFIXES
from cctuning.evaluation.scoring.numerals import (
    ascii_digits,
    joined_thousands,
    plain_dates,
    plain_number,
    signed,
)
from cctuning.evaluation.scoring.words import equated, words


def exact_match(response: str, item: Item) -> float:
    """1 if the response has the words of one of the gold answers, all and in order, and no other."""
    response_words = answer_words(response, item.language)
    return float(any(response_words == answer_words(answer, item.language) for answer in item.answers))


def f1(response: str, item: Item) -> float:
    """F1 between the words of the response and those of the gold answer that it is nearest to, in [0, 1].

    Words are counted as often as they occur.
    """
    response_words = answer_words(response, item.language)
    return max(_f1(response_words, answer_words(answer, item.language)) for answer in item.answers)


def answer_words(text: str, language: str) -> list[str]:
    """The words that count: as `equated` has them, numbers and plain dates in one form, no articles.

    An answer that holds nothing but articles (blood type "A") keeps them.
    """
    plain = joined_thousands(signed(plain_dates(ascii_digits(equated(text, language)))), language)
    prefixes, articles = (
        equated(table.get(language, ""), language).split() for table in (PREFIXES, ARTICLES)
    )
    every = [_without_prefix(plain_number(word, language), prefixes) for word in words(plain)]
    return [word for word in every if word not in articles] or every


def _without_prefix(word: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        if word.startswith(prefix) and len(word) > len(prefix):
            return word.removeprefix(prefix)
    return word


def _f1(predicted: list[str], gold: list[str]) -> float:
    if not predicted or not gold:
        return float(predicted == gold)
    common = (Counter(predicted) & Counter(gold)).total()
    return 2 * common / (len(predicted) + len(gold))
