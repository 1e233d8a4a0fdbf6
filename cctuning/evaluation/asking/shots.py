"""Few-shot prompts: questions with their answers before the one that is asked, the same in all languages."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cctuning.evaluation.asking.prompting import prompts_of
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.selection import ItemSet, languages_in, read_item_sets

Pool = Mapping[int | str, Item]


@dataclass(frozen=True)
class Shots:
    """What stands before a prompt and before its parallel; nothing by default."""

    text: str = ""
    parallel: str = ""


NO_SHOTS = Shots()
ANSWERS_BEHIND = "\n"  # what stands between a prompt and its answer


def draw_shots(sets: Sequence[ItemSet], data: str, count: int, seed: int) -> list[Shots]:
    """The shots of each set: `count` questions of the same benchmark in `data`, drawn by `seed`.

    Languages of a parallel benchmark get the same questions, in the same order. None of them is asked.
    Raises `ValueError` where too few are left to draw from, and what `read_item_sets` raises.
    """
    shots: dict[tuple[str, str], Shots] = {}
    for benchmark in dict.fromkeys(item_set.benchmark.name for item_set in sets):
        of_benchmark = [item_set for item_set in sets if item_set.benchmark.name == benchmark]
        parallel = of_benchmark[0].benchmark.parallel
        together = [of_benchmark] if parallel else [[item_set] for item_set in of_benchmark]
        for group in together:
            for item_set, drawn in zip(group, _draw(group, data, count, seed), strict=True):
                shots[benchmark, item_set.language] = drawn
    return [shots[item_set.benchmark.name, item_set.language] for item_set in sets]


def _draw(group: Sequence[ItemSet], data: str, count: int, seed: int) -> list[Shots]:
    """The shots of sets that hold the same questions."""
    benchmark = group[0].benchmark
    languages = [item_set.language for item_set in group]
    wanted = [*languages]
    if benchmark.parallel and "en" in languages_in(benchmark, data) and "en" not in languages:
        wanted.append("en")  # whose answers stand before parallel prompts
    pools = {
        pool.language: {item.id: item for item in pool.items}
        for pool in read_item_sets([benchmark], data, languages=wanted)
    }
    prompts = {prompts_of(item, benchmark)[0] for item_set in group for item in item_set.items}
    ids = [
        id
        for id in pools[languages[0]]
        if all(id in pool and prompts_of(pool[id], benchmark)[0] not in prompts for pool in pools.values())
    ]
    if len(ids) < count:
        raise ValueError(
            f"shots={count}: {benchmark.data_in(data)} holds {len(ids)} questions of {benchmark.title} in "
            f"{', '.join(languages)} that are not asked themselves: set shots_data= to a pilot or train set"
        )
    drawn = random.Random(f"{seed} {benchmark.name}").sample(ids, count)
    english = pools.get("en", {})
    return [_shots([pools[language][id] for id in drawn], english, benchmark) for language in languages]


def _shots(items: Sequence[Item], english: Pool, benchmark: Benchmark) -> Shots:
    texts = [prompts_of(item, benchmark) for item in items]
    # Of parallel questions the English one has answers of its own.
    others = [english.get(item.id, item) if benchmark.parallel else item for item in items]
    parallel = _joined([text for _, text in texts], others) if all(text for _, text in texts) else ""
    return Shots(_joined([text for text, _ in texts], items), parallel)


def _joined(prompts: Sequence[str], items: Sequence[Item]) -> str:
    pairs = zip(prompts, items, strict=True)
    return "".join(f"{prompt}{ANSWERS_BEHIND}{_answer(item)}\n\n" for prompt, item in pairs)


def _answer(item: Item) -> str:
    return f"({item.answers[0]})" if item.options else item.answers[0]
