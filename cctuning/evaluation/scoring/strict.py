"""The strict scores: this project's own, named apart from the papers' rules."""

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.options import named_options
from cctuning.evaluation.scoring.paper import gold_and_options
from cctuning.evaluation.scoring.short_answers import exact_match, f1

__all__ = ["exact_match", "exact_option", "f1"]


def exact_option(response: str, item: Item) -> float:
    """1 if the response names exactly one option, read as `named_options` reads it, and that is the gold one.

    Raises `ValueError` for an item that is no choice.
    """
    gold, _ = gold_and_options(item)
    return float(named_options(response, item) == [gold])
