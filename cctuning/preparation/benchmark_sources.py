"""Sources of benchmarks' questions: sets on the hub, or the authors' published files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.hub import Reader, Translate, load_items
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.raw_questions import HubSet, Rows
from cctuning.preparation.authors import fetch_pinned
from cctuning.preparation.authors_benchmarks import authors_items
from cctuning.preparation.benchmark_sets import BenchmarkSet
from cctuning.preparation.files import BENCHMARK_TRANSLATIONS
from cctuning.translation import Translation, Translator, translate_all


@dataclass(frozen=True)
class Loaded:
    """The items of a benchmark in a language, and what they were read from."""

    items: list[Item]
    inputs: Sequence[str | Path]  # addresses, hub sets, files
    checksums: Mapping[str, str] = field(default_factory=dict)  # address -> SHA-256


Load = Callable[[str], Loaded]  # of a language


def from_hub(
    benchmark: Benchmark, chosen: BenchmarkSet, root: Path | None, translator: Translator | None, folder: Path
) -> Load:
    """Reads the sets on the hub, or their clones under `root`, each once; `folder` keeps translations."""
    read, translate = Reader(root), _translate(translator, folder)

    def load(language: str) -> Loaded:
        used: set[str] = set()

        def noted(hub_set: HubSet) -> Rows:
            used.add(hub_set.name)
            return read(hub_set)

        items = load_items(
            benchmark,
            language,
            read=noted,
            translate=translate,
            positions=chosen.positions,
            templates=chosen.templates,
        )
        return Loaded(items, sorted(used))

    return load


def from_authors(benchmark: Benchmark, folder: Path, address: str) -> Load:
    """Downloads the files of the authors' repository, served at `address`, each once and under `folder`."""

    def load(language: str) -> Loaded:
        files: dict[str, Path] = {}
        checksums: dict[str, str] = {}

        def fetched(name: str) -> Path:
            url = f"{address}/{name}"
            files[url], _, checksums[url] = fetch_pinned(url, folder)
            return files[url]

        items = authors_items(benchmark, language, fetched)
        return Loaded(items, [*files, *files.values()], checksums)

    return load


def _translate(translator: Translator | None, folder: Path) -> Translate | None:
    """Translates by `translator`; what it writes is kept beside the files. None where there is none."""
    if translator is None:
        return None

    def translate(texts: Sequence[str], source: str, target: str) -> list[Translation]:
        cache = folder / BENCHMARK_TRANSLATIONS
        sources = [source] * len(texts)
        return translate_all(translator, texts, sources=sources, target=target, cache=cache)

    return translate
