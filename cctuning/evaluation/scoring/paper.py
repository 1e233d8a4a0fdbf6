"""The papers' rules, to the letter: what the authors' evaluation scripts of XTransplant call right.

They are lenient here and harsh there, and both is kept: texts are looked for as plain substrings, so an
option whose text lies within another's can never be right by its text, and "3" is wrong where the gold
answer is "3.0". `scoring.strict` holds what this project would say instead.
"""

import string
from collections.abc import Iterable, Mapping

from cctuning.evaluation.items.item import Item

_ASCII_BRACKETS = str.maketrans("（）", "()")


def names_option(response: str, item: Item) -> float:
    """1 if the response names the gold label and no other one (XStoryCloze, MMMLU, XCOPA).

    A label is named by brackets around it, ASCII or full width, anywhere in the response, or by standing
    there alone. Labels are compared with their case. Raises `ValueError` for an item that is no choice.
    """
    gold, options = gold_and_options(item)
    return float(_names_only(response.translate(_ASCII_BRACKETS), gold, options))


def names_option_or_text(response: str, item: Item) -> float:
    """As `names_option`, but an option's text in the item's language names it as well (XNLI).

    Texts are substrings of the response, compared with their case and blanks.
    """
    gold, options = gold_and_options(item)
    response = response.translate(_ASCII_BRACKETS)
    named = {label for label, text in options.items() if _is_named(response, label) or text in response}
    return float(named == {gold})


def names_letter(response: str, item: Item) -> float:
    """1 if the response, in upper case, names the gold letter and none of the other 25 (GlobalOpinionQA).

    Full-width brackets do not count here, and a letter that is no option of the item counts as another one.
    """
    gold, _ = gold_and_options(item)
    return float(_names_only(response.upper(), gold, string.ascii_uppercase))


def contains_answer(response: str, item: Item) -> float:
    """1 if one of the gold strings occurs in the response, both in lower case (MKQA, XQuAD)."""
    return float(any(answer.lower() in response.lower() for answer in item.answers))


def gold_and_options(item: Item) -> tuple[str, Mapping[str, str]]:
    """The right label of a choice, and its option texts by label. Raises `ValueError` for what is none."""
    if not item.options or len(item.answers) != 1 or item.answers[0] not in item.options:
        raise ValueError(
            f"{item.file or 'item'}, id {item.id}: a choice has options and, as its answer, one of their "
            f"labels; here the options are {list(item.options or [])} and the answer is {list(item.answers)}"
        )
    return item.answers[0], item.options


def _names_only(response: str, gold: str, labels: Iterable[str]) -> bool:
    return {label for label in labels if _is_named(response, label)} == {gold}


def _is_named(response: str, label: str) -> bool:
    return f"({label})" in response or response.strip() == label
