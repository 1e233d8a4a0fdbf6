"""Issues of benchmark items that a program can see, in the format that `known_issues` reads."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.data.formats import DataError
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.known_issues import FILE
from cctuning.tools.files import write_whole

Ids = list[int | str]


def find_issues(
    benchmark: Benchmark, items: Mapping[str, Sequence[Item]], *, without: str | None = None
) -> dict[str, dict[str, Ids]]:
    """Language -> reason -> ids, of the items of each language.

    - answer_differs_from_en: a choice whose right label is another one in English, so that the two cannot
      be the same question;
    - answer_not_in_prompt: a question about a paragraph whose answer does not stand in it;
    - no_parallel: there is no parallel text, though there is a translator for it;
    - faulty_parallel: its translation looks faulty (`parallel_faults` in the row says why).

    `without`: a reason that is none here.
    """
    english = {item.id: item for item in items.get("en", ())}
    by_language: dict[str, dict[str, Ids]] = {}
    for language, of_language in items.items():
        for item in of_language:
            for reason in _reasons(benchmark, item, english):
                if reason != without:
                    by_language.setdefault(language, {}).setdefault(reason, []).append(item.id)
    return by_language


def _reasons(benchmark: Benchmark, item: Item, english: Mapping[int | str, Item]) -> list[str]:
    reasons = []
    in_english = english.get(item.id) if benchmark.parallel else None
    if benchmark.kind == "choice" and in_english and in_english.answers != item.answers:
        reasons.append("answer_differs_from_en")
    if benchmark.name == "xquad" and not any(answer in item.prompt for answer in item.answers):
        reasons.append("answer_not_in_prompt")
    if not (item.prompt and item.prompt_en):
        reasons.append("no_parallel")
    elif item.details.get("parallel_faults"):
        reasons.append("faulty_parallel")
    return reasons


def write_issues(folder: Path, benchmark: Benchmark, issues: Mapping[str, Any]) -> Path:
    """Puts the issues of a benchmark into FOLDER/anomalies.json, in place of those that were known of it."""
    known = read_issues(folder)
    known.pop(benchmark.title, None)
    path = folder / FILE
    write_whole(path, json.dumps(known | ({benchmark.title: issues} if issues else {}), indent=1) + "\n")
    return path


def read_issues(folder: Path) -> dict[str, Any]:
    """The content of FOLDER/anomalies.json, often none. Raises `DataError` for a file of something else."""
    path = folder / FILE
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(known, dict):
        raise DataError(f"{path} is no object of issues")
    return known
