"""The part to judge of a response with a chain of thought."""

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.options import named_options

LAST_TOKENS = 20  # tokens at the end of a response that are judged where no option is named


def judged_text(item: Item, response: str, last_tokens_text: str) -> str:
    """The part of a chain of thought that the scores judge.

    Of a choice it is the last option named, as "(label)", where one is named. Else it is
    `last_tokens_text`, the response's last `LAST_TOKENS` tokens as text.
    """
    named = named_options(response, item, at_start=False) if item.options else []
    return f"({named[-1]})" if named else last_tokens_text
