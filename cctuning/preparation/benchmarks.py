"""Writes benchmark files: the papers' questions, languages and prompts, one file per language.

FOLDER/TITLE/LANGUAGE.jsonl, which `cctuning evaluate data=FOLDER` reads, with anomalies.json (issues that a
program can see) and manifest.json beside them. Files that the same command has made before are kept: after an
interruption it goes on where it was.

XLSum's English parallels and GlobalOpinionQA's questions in other languages are translations: they need
--translator. Without it these texts are null, and only inference without a parallel prompt can use the files.

--from authors takes the files that CC-Tuning's authors have published in place of the sets on the hub: the
questions that they drew of their six benchmarks, in their words, with the English of XLSum.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cctuning.evaluation.benchmarks import BENCHMARKS, find_benchmark
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.files import read_items, write_items
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.sampling import SEED
from cctuning.preparation.authors import COMMIT, REPOSITORY
from cctuning.preparation.authors_benchmarks import AUTHORS_BENCHMARKS
from cctuning.preparation.benchmark_issues import find_issues, read_issues, write_issues
from cctuning.preparation.benchmark_sets import SETS, BenchmarkSet, benchmark_set
from cctuning.preparation.benchmark_sources import Load, from_authors, from_hub
from cctuning.preparation.command import script
from cctuning.preparation.manifest import manifest_path, read_manifest, write_manifest
from cctuning.reporting.tables import RecordTable
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.console import PlainConsole, new_console
from cctuning.tools.files import sha256
from cctuning.translation import KINDS, Translator, load_translator


def _run(options: argparse.Namespace, command: list[str]) -> int:
    console = new_console()
    folder = options.output or Path("data") / options.set
    benchmarks = [find_benchmark(name) for name in options.benchmarks]
    _check_source(options, benchmarks)
    sets = {benchmark.name: _chosen(benchmark, options) for benchmark in benchmarks}
    translator = _translator(options)
    read_issues(folder)  # what cannot be read is named before the work
    for benchmark in benchmarks:
        chosen = sets[benchmark.name]
        load = (
            from_authors(benchmark, folder, _address(options))
            if options.source == "authors"
            else from_hub(benchmark, chosen, options.root, translator, folder)
        )
        items = _write_benchmark(benchmark, chosen, folder, options, command, translator, load, console)
        if not items:
            continue
        not_asked_for = translator is None and options.source == "hub"
        issues = find_issues(benchmark, items, without="no_parallel" if not_asked_for else None)
        write_issues(folder, benchmark, issues)
        console.print(_table(benchmark, items, issues))
    return 0


def _check_source(options: argparse.Namespace, benchmarks: Sequence[Benchmark]) -> None:
    """Raises `ValueError` for arguments that belong to the other source."""
    authors = options.source == "authors"
    of_hub = {
        "--set": options.set != "benchmarks",
        "--root": options.root is not None,
        "--seed": options.seed != SEED,
        "--translator": options.translator is not None,
    }
    of_authors = {"--url": options.url is not None, "--commit": options.commit != COMMIT}
    for name, given in (of_hub if authors else of_authors).items():
        if given:
            raise ValueError(f"{name} is of --from {'hub' if authors else 'authors'}: take it away")
    for benchmark in benchmarks:
        if authors and benchmark.name not in AUTHORS_BENCHMARKS:
            raise ValueError(
                f"the authors of CC-Tuning have no {benchmark.name}, only {', '.join(AUTHORS_BENCHMARKS)}"
            )


def _chosen(benchmark: Benchmark, options: argparse.Namespace) -> BenchmarkSet:
    """The set of a benchmark, in the languages that were asked for."""
    whole = benchmark_set(benchmark, options.set, seed=options.seed)
    for language in options.languages or ():
        if language not in whole.available:
            raise ValueError(
                f"{benchmark.title} has no language {language!r} in the set {options.set!r}"
                f"{did_you_mean(language, whole.available)}, only {', '.join(whole.available)}"
            )
    return dataclasses.replace(whole, languages=tuple(options.languages or whole.languages))


def _write_benchmark(
    benchmark: Benchmark,
    chosen: BenchmarkSet,
    folder: Path,
    options: argparse.Namespace,
    command: list[str],
    translator: Translator | None,
    load: Load,
    console: PlainConsole,
) -> dict[str, list[Item]]:
    """The items of each language that has some, written, or read where they had been."""
    items: dict[str, list[Item]] = {}
    for language in chosen.languages:
        path = folder / benchmark.title / f"{language}.jsonl"
        settings = _settings(benchmark, language, options, translator)
        if _is_made(path, folder, settings):
            console.say(f"{path} is there")
        else:
            loaded = load(language)
            if not loaded.items:
                console.say(f"{path}: the set leaves no question")
                continue
            write_items(path, loaded.items)
            write_manifest(
                folder,
                command=command,
                inputs=loaded.inputs,
                outputs=[path],
                counts={language: len(loaded.items)},
                seed=options.seed if options.source == "hub" else None,
                settings=settings,
                packages=["datasets"] if options.source == "hub" else [],
                checksums=loaded.checksums,
            )
            console.say(f"{path}: {len(loaded.items)} items")
        items[language] = read_items(folder, benchmark, language)
    return items


def _address(options: argparse.Namespace) -> str:
    """The address of the authors' repository."""
    return (options.url or REPOSITORY.format(commit=options.commit)).rstrip("/")


def _settings(
    benchmark: Benchmark, language: str, options: argparse.Namespace, translator: Translator | None
) -> dict[str, Any]:
    """The settings that a file's content depends on, beside the sets on the hub."""
    if options.source == "authors":
        return {"benchmark": benchmark.name, "language": language, "from": _address(options)}
    return {
        "benchmark": benchmark.name,
        "language": language,
        "set": options.set,
        "root": str(options.root) if options.root else None,
        "seed": options.seed,
        "translator": translator.name if translator and not benchmark.parallel else None,
    }


def _is_made(path: Path, folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the file is as a command with these settings has left it."""
    if not path.is_file() or not manifest_path(folder).exists():
        return False
    for entry in read_manifest(folder):
        for output in entry["outputs"]:
            if (
                output.get("file") == path.relative_to(folder).as_posix()
                and entry.get("settings") == settings
            ):
                return bool(output["sha256"] == sha256(path))
    return False


def _translator(options: argparse.Namespace) -> Translator | None:
    """The translator that was asked for."""
    if options.translator is None:
        return None
    if options.translator_model is None:
        raise ValueError(f"--translator {options.translator} needs --translator-model")
    return load_translator(options.translator, model=options.translator_model)


def _table(benchmark: Benchmark, items: dict[str, list[Item]], issues: dict[str, dict[str, Any]]) -> Table:
    rows = [
        [
            language,
            len(of_language),
            ", ".join(f"{name} {len(ids)}" for name, ids in issues.get(language, {}).items()),
        ]
        for language, of_language in items.items()
    ]
    return RecordTable(["language", "items", "faults"], rows).screen(text=(0, 2), title=benchmark.title)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("benchmarks", nargs="+", metavar="BENCHMARK", help=", ".join(BENCHMARKS))
    add(
        "--set",
        choices=SETS,
        default="benchmarks",
        help="CC-Tuning's evaluation sets (benchmarks), or XTransplant's pilot or unseen sets",
    )
    add(
        "--from",
        dest="source",
        choices=("hub", "authors"),
        default="hub",
        help="the sets on the hub, or the files of CC-Tuning's authors (default: %(default)s)",
    )
    add("--commit", default=COMMIT, help="of the authors' repository (default: %(default)s)")
    add("--url", help="another address of the authors' repository, with Inference/data in it")
    add("--languages", nargs="+", metavar="LANGUAGE", help="some of the set's languages (default: all)")
    add("--output", type=Path, metavar="FOLDER", help="where the files go (default: data/SET)")
    add("--root", type=Path, metavar="FOLDER", help="clones of the hub's sets, FOLDER/ORGANISATION/NAME")
    add("--translator", choices=KINDS, help="what writes the parallel texts that the hub does not have")
    add("--translator-model", metavar="MODEL", help="its folder, hub name or file")
    add("--seed", type=int, default=SEED, help=f"of the samples (default: {SEED}, the papers')")


main = script(
    "benchmarks",
    __doc__,
    _add_arguments,
    _run,
    stopped="stopped: the same command goes on with the files that are missing",
    keep_lines=True,
)

if __name__ == "__main__":
    raise SystemExit(main())
