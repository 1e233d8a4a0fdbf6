"""From which language into which: items, each with the prompt that its activations come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet

TO_LANGUAGE, TO_CENTRE = "to_language", "to_centre"


@dataclass(frozen=True)
class Direction:
    """Source and target languages of activations.

    `to_language`: the prompt in each language is asked, with activations of its parallel in the centre
    language (En -> X). `to_centre`: the other way round (X -> En). XTransplant takes the first for
    multilingual benchmarks and the second for those of culture, which are asked in English.
    """

    name: str
    centre: str = "en"

    @classmethod
    def of(cls, name: str, centre: str, benchmark: Benchmark) -> Direction:
        """`name`, or for `auto` the paper's direction of a benchmark."""
        if name == "auto":
            name = TO_CENTRE if benchmark.asked_in_english else TO_LANGUAGE
        return cls(name, centre)


@dataclass(frozen=True)
class DirectedSet:
    """The items of a benchmark in one language, made ready for a direction.

    `item_set` holds what activations go into, as `asking.prompting.prompts_of` takes it: the parallel of a
    prompt is the one that they come from, whatever language that is in. `judges` holds the same items as the
    data have them, and `sources` those of the source prompts, which judge what the model answers to either,
    all in the same order.
    """

    item_set: ItemSet
    judges: Sequence[Item]
    sources: Sequence[Item]
    asked_in: str  # the language of the prompts
    sources_of: str  # the language whose questions the sources are: one set of them may serve all languages


def direct(
    item_set: ItemSet,
    direction: Direction,
    centre: Mapping[int | str, Item] | None,
    *,
    leave_out: bool = False,
) -> DirectedSet:
    """The items of `item_set` with their parallels in the direction's centre language.

    `centre`: its items by id; None where the benchmark's own English prompts serve, since its languages hold
    different questions.
    Raises `ValueError` for an item without a parallel there, unless those are to be left out, and for a
    centre that the benchmark cannot have.
    """
    benchmark = item_set.benchmark
    if centre is None:
        return _of_culture(item_set, direction)
    missing = [item for item in item_set.items if item.id not in centre]
    if missing and not leave_out:
        first = missing[0]
        raise ValueError(
            f"{first.file or benchmark.title}, row {first.number}, id {first.id!r}: has no parallel in "
            f"{direction.centre!r}. Set on_bad_prompt=leave_out to probe the others"
        )
    if missing:
        item_set = item_set.without({f"no parallel in {direction.centre}": [item.id for item in missing]})
    others = [centre[item.id] for item in item_set.items]
    if direction.name == TO_LANGUAGE:
        items = [
            replace(item, prompt_en=other.prompt) for item, other in zip(item_set.items, others, strict=True)
        ]
        return DirectedSet(
            replace(item_set, items=items), item_set.items, others, item_set.language, direction.centre
        )
    items = [
        replace(other, prompt_en=item.prompt) for item, other in zip(item_set.items, others, strict=True)
    ]
    return DirectedSet(
        replace(item_set, items=items), others, item_set.items, direction.centre, item_set.language
    )


def _of_culture(item_set: ItemSet, direction: Direction) -> DirectedSet:
    """Both prompts of an item are there, and it judges either."""
    if direction.centre != "en":
        raise ValueError(
            f"centre={direction.centre}: the languages of {item_set.benchmark.title} hold different "
            "questions, so only their English versions are parallel. Set centre=en, or leave it out "
            "of benchmarks="
        )
    to_centre = direction.name == TO_CENTRE
    # A benchmark that is asked in English asks `prompt_en`, with `prompt` as its parallel.
    directed = replace(item_set, benchmark=replace(item_set.benchmark, asked_in_english=to_centre))
    asked_in = "en" if to_centre else item_set.language
    return DirectedSet(directed, item_set.items, item_set.items, asked_in, item_set.language)
