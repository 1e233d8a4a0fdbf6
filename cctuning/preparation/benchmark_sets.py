"""The sets that the papers made of each benchmark: which questions, in which words and languages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.prompt_templates import languages_of
from cctuning.evaluation.items.sampling import sample_positions

SETS = ("benchmarks", "pilot", "unseen")
_PILOT = 50  # questions of a language in XTransplant's pilot sets
_UNSEEN = {"xnli": 1000}  # of the others all questions that are not in the pilot set
_XTRANSPLANT = ("xnli", "xquad", "xcopa", "globalopinionqa")


@dataclass(frozen=True)
class BenchmarkSet:
    """A set of a benchmark's questions."""

    languages: tuple[str, ...]  # those of the paper, as long as no others are asked for
    available: tuple[str, ...]  # those that have prompts
    templates: str  # the name of its wordings
    positions: Callable[[int], Sequence[int]]  # from the number of questions to those taken, in order


def benchmark_set(benchmark: Benchmark, name: str, *, seed: int) -> BenchmarkSet:
    """CC-Tuning's evaluation set of a benchmark (`benchmarks`), or XTransplant's `pilot` or `unseen` set.

    CC-Tuning draws `sample_size` questions; XTransplant's pilot sets are 50, drawn from all, and its unseen
    sets the others, of XNLI 1,000 drawn from the others. Raises `ValueError` for a set that does not exist.
    """
    if name == "benchmarks":
        return BenchmarkSet(
            benchmark.languages,
            benchmark.languages if benchmark.asked_in_english else languages_of(benchmark.name),
            benchmark.name,
            lambda total: sample_positions(range(total), benchmark.sample_size, seed=seed),
        )
    if benchmark.name not in _XTRANSPLANT:
        raise ValueError(f"{benchmark.name} has no set {name!r}: XTransplant used {', '.join(_XTRANSPLANT)}")
    of_xtransplant = f"xtransplant_{benchmark.name}"
    templates = of_xtransplant if benchmark.name in ("xnli", "xquad") else benchmark.name
    available = benchmark.languages if benchmark.asked_in_english else languages_of(templates)
    languages = available if templates == of_xtransplant else benchmark.languages

    def pilot(total: int) -> list[int]:
        return sample_positions(range(total), _PILOT, seed=seed)

    def unseen(total: int) -> list[int]:
        seen = set(pilot(total))
        others = [position for position in range(total) if position not in seen]
        return sample_positions(others, _UNSEEN.get(benchmark.name), seed=seed)

    return BenchmarkSet(languages, available, templates, pilot if name == "pilot" else unseen)
