"""Benchmarks of one's own: a YAML file says what is asked and how it is scored, files beside it hold rows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cctuning.data.fields import type_name
from cctuning.data.formats import DataError
from cctuning.evaluation.items.benchmark import Benchmark, Metric
from cctuning.evaluation.items.files import available_languages
from cctuning.evaluation.items.prompt_templates import PromptTemplate
from cctuning.evaluation.scoring import metrics
from cctuning.settings.near_matches import did_you_mean, missing_file

SUFFIXES = (".yaml", ".yml")
# By kind, the ways to score it; the first is the default.
SCORINGS: Mapping[str, Mapping[str, tuple[Metric, ...]]] = {
    "choice": {
        "label": metrics.CHOICE,
        "label_or_text": metrics.CHOICE_BY_TEXT,
        "letter": metrics.CHOICE_OF_LETTERS,
    },
    "short_answer": {"contains": metrics.SHORT_ANSWER},
    "summary": {"rouge": metrics.SUMMARY},
}
_TYPES: Mapping[str, Any] = {
    "kind": str,
    "scoring": str,
    "title": str,
    "languages": list,
    "prompt": str | dict,
    "parallel": bool,
}
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def read_benchmark(path: str | Path) -> Benchmark:
    """The benchmark that a YAML file describes; its name is the file's.

    Keys: `kind` (choice, short_answer, summary), and where the defaults do not do `scoring` (`SCORINGS`),
    `title` (the folder of its files, beside the YAML file), `languages` (which are asked; all that have a
    file), `prompt` (a text with {field} where a row's field goes, or one for each language; rows that have a
    `prompt` need none) and `parallel` (whether the same id is the same question in all languages).

    Raises `DataError` for a file that is not there or says something else.
    """
    path = Path(path).expanduser()
    content = _content(path)
    kind = _one_of(path, "kind", content.get("kind"), SCORINGS)
    scorings = SCORINGS[kind]
    scoring = _one_of(path, "scoring", content.get("scoring", next(iter(scorings))), scorings)
    if not _NAME.fullmatch(path.stem):
        raise DataError(f"{path}: the name of a benchmark may hold letters, digits, _ and - only")
    benchmark = Benchmark(
        name=path.stem.lower(),
        title=content.get("title", path.stem),
        kind=kind,  # type: ignore[arg-type]
        languages=(),
        metrics=scorings[scoring],
        parallel=content.get("parallel", True),
        folder=path.parent,
        prompts=_prompts(path, content.get("prompt")),
    )
    languages = content.get("languages") or available_languages(path.parent, benchmark)
    return Benchmark(**{**vars(benchmark), "languages": tuple(map(str, languages))})


def _content(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise DataError(missing_file(path))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as a benchmark: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no `key: value` lines, such as kind: short_answer")
    for key, value in content.items():
        if key not in _TYPES:
            near = did_you_mean(str(key), _TYPES)
            raise DataError(f"{path}: {key!r} is not one of {', '.join(_TYPES)}{near}")
        if not isinstance(value, _TYPES[key]):
            raise DataError(f"{path}, {key}: is {type_name(value)}")
    return content


def _one_of(path: Path, key: str, value: Any, known: Mapping[str, Any]) -> str:
    if value not in known:
        near = did_you_mean(str(value), known)
        raise DataError(f"{path}: {key}={value!r} is not one of {', '.join(known)}{near}")
    return str(value)


def _prompts(path: Path, given: str | dict[str, Any] | None) -> dict[str, PromptTemplate] | None:
    """The templates by language; "" is for all others."""
    if given is None:
        return None
    by_language = {"": given} if isinstance(given, str) else given
    for language, text in by_language.items():
        if not isinstance(text, str) or "{" not in text:
            raise DataError(
                f"{path}, prompt {language}: must be a text with a field of the rows, {{question}}"
            )
    return {str(language): PromptTemplate(text) for language, text in by_language.items()}
