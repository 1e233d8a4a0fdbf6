"""The strict scores: this project's own, named apart from the papers' rules."""

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.options import named_options
from cctuning.evaluation.scoring.paper import contains_answer, gold_and_options
from cctuning.evaluation.scoring.short_answers import exact_match, f1

__all__ = ["exact_match", "exact_option", "f1", "in_english_words"]


def exact_option(response: str, item: Item) -> float:
    """1 if the response names exactly one option, read as `named_options` reads it, and that is the gold one.

    Raises `ValueError` for an item that is no choice.
    """
    gold, _ = gold_and_options(item)
    return float(named_options(response, item) == [gold])


def in_english_words(response: str, item: Item) -> float | None:
    """1 if a short answer is right in English words, and not in the item's language.

    The English gold texts are the item's detail `answer_en`, and are looked for as `contains_answer` looks
    for the others. None where there are none, or where one of them is a gold text, or lies in one.
    """
    english = [text.lower() for text in item.details.get("answer_en") or ()]
    if not english or any(text in answer.lower() for text in english for answer in item.answers):
        return None
    return float(any(text in response.lower() for text in english) and not contains_answer(response, item))
