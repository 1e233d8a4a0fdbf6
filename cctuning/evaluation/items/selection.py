"""Selection of items: the benchmarks and languages of a recipe, less those that are left out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cctuning.evaluation.items import hub
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.files import available_languages, read_items
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.known_issues import known_issues_file, read_known_issues, without_known_issues
from cctuning.settings.near_matches import did_you_mean

HUB = "hub"


def no_known_issues_warning(data: str, leave_out_faults: bool) -> str | None:
    """A warning where `leave_out_faults` leaves out nothing, as no known faults lie beside the data."""
    if not leave_out_faults or (data != HUB and known_issues_file(data)):
        return None
    return f"{data} has no anomalies.json, so leave_out_faults leaves out nothing"


@dataclass(frozen=True)
class ItemSet:
    """The items of a benchmark in one language, and the ids that were left out, by reason."""

    benchmark: Benchmark
    language: str
    items: Sequence[Item]
    left_out: dict[str, list[int | str]] = field(default_factory=dict)

    def without(self, ids: dict[str, list[int | str]]) -> ItemSet:
        """The same less these ids, by reason."""
        removed = {id for listed in ids.values() for id in listed}
        kept = [item for item in self.items if item.id not in removed]
        return replace(self, items=kept, left_out=self.left_out | ids)


def read_item_sets(
    benchmarks: Sequence[Benchmark],
    data: str,
    *,
    languages: Sequence[str] = (),
    limit: int | None = None,
    leave_out_faults: bool = False,
) -> list[ItemSet]:
    """The items of all benchmarks from the folder `data`, or from the hub, language by language.

    `languages`: these, of the benchmarks that have them (`missing_warning`); by default all of the folder,
    and of the hub those of the paper. `limit`: the first so many of each language; then known faults are
    left out. Raises `ValueError` for a language that no benchmark has and for a benchmark that has none of
    them, and what `read_items` raises.
    """
    has = {benchmark.name: languages_in(benchmark, data) for benchmark in benchmarks}
    known = {language for available in has.values() for language in available}
    if missing := [language for language in languages if language not in known]:
        raise ValueError(
            f"languages: no {missing[0]!r} for {', '.join(has)} in {_places_of(benchmarks, data)}, only "
            f"{', '.join(sorted(known))}{did_you_mean(missing[0], known)}"
        )
    for benchmark in benchmarks:
        name = benchmark.name
        if languages and not set(languages) & set(has[name]):
            raise ValueError(
                f"languages: {name} has none of {', '.join(languages)} in {benchmark.data_in(data)}, only "
                f"{', '.join(has[name])}: leave it out of benchmarks, or name one of its languages"
            )
    faults = read_known_issues(data) if leave_out_faults else None
    from_hub = functools.partial(hub.load_items, read=hub.Reader())  # English is read once, for all languages
    sets = []
    for benchmark in benchmarks:
        own = benchmark.languages if benchmark.folder is not None else ()
        for language in languages or own or has[benchmark.name]:
            if languages and language not in has[benchmark.name]:
                continue
            folder = benchmark.data_in(data)
            load = from_hub if folder == HUB else lambda *which: read_items(folder, *which)  # noqa: B023
            items = load(benchmark, language)[:limit]
            item_set = ItemSet(benchmark, language, items)
            if faults is not None:
                _, left_out = without_known_issues(items, faults, benchmark)
                item_set = item_set.without(left_out)
            sets.append(item_set)
    return sets


def missing_warning(sets: Sequence[ItemSet], languages: Sequence[str], data: str) -> str:
    """A warning of `languages` that some benchmarks lack and others have; empty where none is missing."""
    asked = {(item_set.benchmark.title, item_set.language) for item_set in sets}
    benchmarks = {item_set.benchmark.title: item_set.benchmark for item_set in sets}
    missing = {
        title: [language for language in languages if (title, language) not in asked] for title in benchmarks
    }
    parts = [f"{title} has no {', '.join(listed)}" for title, listed in missing.items() if listed]
    places = _places_of([benchmarks[title] for title, listed in missing.items() if listed], data)
    return f"{'; '.join(parts)} in {places}: not asked" if parts else ""


def _places_of(benchmarks: Sequence[Benchmark], data: str) -> str:
    """Where the files of benchmarks are looked for, in words; `data` is what a recipe names."""
    return ", ".join(dict.fromkeys(benchmark.data_in(data) for benchmark in benchmarks))


def languages_in(benchmark: Benchmark, data: str) -> list[str]:
    """The languages of a benchmark in the folder `data`, or on the hub."""
    supported = list(benchmark.languages)
    folder = benchmark.data_in(data)
    if folder == HUB:
        return supported
    # Where the folder has none, reading any of them says what is missing.
    return available_languages(folder, benchmark) or supported[:1] or ["en"]
