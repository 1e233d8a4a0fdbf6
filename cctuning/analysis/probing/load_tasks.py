"""The tasks of a study: benchmarks read in all languages, and made ready for a direction."""

from collections.abc import Callable, Sequence

from cctuning.analysis.probing.directions import DirectedSet, Direction, direct
from cctuning.analysis.probing.tasks import ProbeTask, make_probe_task
from cctuning.data.prompts import PromptFormat
from cctuning.evaluation.asking.shots import NO_SHOTS, Shots
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.files import available_languages
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.known_issues import read_known_issues, without_known_issues
from cctuning.evaluation.items.selection import HUB, ItemSet, read_item_sets
from cctuning.settings.near_matches import did_you_mean


def read_probe_tasks(
    benchmarks: Sequence[Benchmark],
    data: str,
    prompts: PromptFormat,
    *,
    direction: str,
    centre: str,
    languages: Sequence[str] = (),
    limit: int | None = None,
    leave_out_faults: bool = False,
    leave_out: bool = False,
    positions: int | None = None,
    new_tokens: int = 20,
    draw: Callable[[Sequence[ItemSet]], Sequence[Shots]] | None = None,
) -> list[ProbeTask]:
    """The questions of all benchmarks in the folder `data`, language by language.

    `draw` gives the shots of some sets (`asking.shots.draw_shots`); None: there are none.

    `direction` and `centre` are those of `Direction.of`, the others those of `read_item_sets` and
    `make_probe_task`. Raises `ValueError` for a benchmark whose answers are neither right nor wrong, and what
    those raise.
    """
    if graded := [benchmark for benchmark in benchmarks if benchmark.kind == "summary"]:
        raise ValueError(
            f"benchmarks: an answer to {graded[0].title} has a degree, and is neither right nor wrong, so "
            "there are no bounds of it: leave it out"
        )
    sets = read_item_sets(
        benchmarks, data, languages=languages, limit=limit, leave_out_faults=leave_out_faults
    )
    directions = {benchmark.name: Direction.of(direction, centre, benchmark) for benchmark in benchmarks}
    centres = {
        benchmark.name: _centre_items(benchmark, data, directions[benchmark.name], leave_out_faults)
        for benchmark in benchmarks
    }
    directed = [
        direct(
            item_set,
            directions[item_set.benchmark.name],
            centres[item_set.benchmark.name],
            # Without faulty items of the centre, others have no parallel.
            leave_out=leave_out or leave_out_faults,
        )
        for item_set in sets
    ]
    shots = [NO_SHOTS] * len(directed) if draw is None else _shots(directed, draw)
    return [
        make_probe_task(
            one, prompts, positions=positions, new_tokens=new_tokens, leave_out=leave_out, shots=before
        )
        for one, before in zip(directed, shots, strict=True)
    ]


def _shots(
    directed: Sequence[DirectedSet], draw: Callable[[Sequence[ItemSet]], Sequence[Shots]]
) -> Sequence[Shots]:
    """The shots of each set, whose parallels are English. Raises `ValueError` for another direction."""
    for one in directed:
        item_set = one.item_set
        if item_set.benchmark.parallel and (one.asked_in, one.sources_of) != (item_set.language, "en"):
            raise ValueError(
                f"shots: {item_set.benchmark.title} is asked in {one.asked_in}, with activations from "
                f"{one.sources_of}, and shots are drawn in the language and in English: set "
                "direction=to_language and centre=en, or shots=0"
            )
    return draw([one.item_set for one in directed])


def _centre_items(
    benchmark: Benchmark, data: str, direction: Direction, leave_out_faults: bool
) -> dict[int | str, Item] | None:
    """The centre language's items by id; None for a benchmark whose languages hold different questions."""
    if not benchmark.parallel:
        return None
    folder = benchmark.data_in(data)
    known = benchmark.languages if folder == HUB else available_languages(folder, benchmark)
    if direction.centre not in known:
        raise ValueError(
            f"centre: no {direction.centre!r} for {benchmark.name} in {data}, only "
            f"{', '.join(sorted(known))}{did_you_mean(direction.centre, known)}"
        )
    # All of them: another language's first questions may be others.
    sets = read_item_sets([benchmark], data, languages=[direction.centre], leave_out_faults=leave_out_faults)
    return {item.id: item for item_set in sets for item in item_set.items}


def count_known_issues(probes: Sequence[ProbeTask], data: str) -> dict[str, int]:
    """Questions with a known issue, by benchmark and language (`evaluation.items.known_issues`)."""
    issues = {} if data == HUB else read_known_issues(data)
    counts = {}
    for probe in probes:
        items = [question.item for question in probe.task.questions]
        kept, _ = without_known_issues(items, issues, probe.task.benchmark)
        counts[f"{probe.task.benchmark.title} {probe.language}"] = len(items) - len(kept)
    return {name: count for name, count in counts.items() if count}
