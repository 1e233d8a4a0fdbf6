"""Options of a choice that a response names, read strictly."""

from collections.abc import Mapping

from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.labels import LabelReader, by_last_mention
from cctuning.evaluation.scoring.words import equated, words


def named_options(response: str, item: Item, *, at_start: bool = True) -> list[str]:
    """The labels of the options that `response` names, in the order of their last mention.

    Labels decide where there are any, as `LabelReader` finds them. Else options are named by their texts, as
    whole words; within a longer option's text a shorter one's does not count.

    Args:
        response: what the model said.
        item: the question, its options and its language.
        at_start: whether a response may open with its answer; a chain of thought does not.

    Raises `ValueError` for an item without options.
    """
    if not item.options:
        raise ValueError(f"{item.file or 'item'}, id {item.id}: a choice has options, and this item has none")
    question_text = "\n".join([item.prompt, item.prompt_en, *item.options.values()])
    reader = LabelReader(item.options, item.language, question_text)
    return reader.read(response, at_start=at_start) or _by_text(response, item.options, item.language)


def _by_text(response: str, options: Mapping[str, str], language: str) -> list[str]:
    response_words = words(equated(response, language))
    spans = []
    for label, text in options.items():
        wanted = words(equated(text, language))
        starts = range(len(response_words) - len(wanted) + 1) if wanted else ()
        spans += [
            (start, start + len(wanted), label)
            for start in starts
            if response_words[start : start + len(wanted)] == wanted
        ]
    return by_last_mention(
        (start, label)
        for start, end, label in spans
        if not any(other <= start and end <= stop and stop - other > end - start for other, stop, _ in spans)
    )
