"""The questions that the authors of CC-Tuning drew, in their words, from their published files.

`Inference/data/TITLE/` has prompts in `split_sample` and gold texts in `ans_sample`, one a line; sets that
were taken whole are in `split` and `ans`. An English parallel is the same line of the English file, but for
XLSum, whose articles differ: theirs are in `split_sample_en`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cctuning.data.fields import is_blank, stripped
from cctuning.data.formats import DataError
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.prompt_templates import find_template

Fetch = Callable[[str], Path]  # from a path in the repository to the file here

AUTHORS_BENCHMARKS = ("xnli", "xstorycloze", "mmmlu", "mkqa", "xquad", "xlsum")
_WHOLE = ("xquad", "xstorycloze")  # asked in all their questions, of the others a sample


def authors_items(benchmark: Benchmark, language: str, fetch: Fetch) -> list[Item]:
    """The authors' items of a benchmark in one language; ids are rows of their files, from 0.

    Raises `DataError` for a file that holds something else than prompts or gold texts, or another number of
    them than the file beside it, and what `fetch` raises.
    """
    sample = "" if benchmark.name in _WHOLE else "_sample"
    folder = f"Inference/data/{benchmark.title}"
    questions = fetch(f"{folder}/split{sample}/{language}.json")
    answered = fetch(f"{folder}/ans{sample}/{language}.json")
    if language == "en":
        english = questions
    elif benchmark.parallel:
        english = fetch(f"{folder}/split{sample}/en.json")
    else:
        english = fetch(f"{folder}/split{sample}_en/{language}.json")
    prompts, parallels, answers = _prompts(questions), _prompts(english), _gold(answered)
    for path, others in ((english, parallels), (answered, answers)):
        if len(others) != len(prompts):
            raise DataError(f"{path} holds {len(others):,} rows, and {questions} {len(prompts):,}")
    return [
        Item(
            id=number,
            language=language,
            prompt=stripped(prompt),
            prompt_en=stripped(parallel),
            answers=answer,
            options=_options(benchmark, language, prompt, f"{questions}, row {number + 1}"),
            number=number + 1,
        )
        for number, (prompt, parallel, answer) in enumerate(zip(prompts, parallels, answers, strict=True))
    ]


def _lines(path: Path) -> list[Any]:
    """The values of a file of JSON lines, of whatever kind. Raises `DataError` for a line that is none."""
    try:
        # Not `splitlines`: texts may hold other line ends than this one.
        lines = path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line.strip()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} holds no JSON lines: {error}; this is not the authors' file") from error


def _prompts(path: Path) -> list[str]:
    """The prompts of a file: objects with `instruction`."""
    prompts = []
    for number, value in enumerate(_lines(path), start=1):
        prompt = value.get("instruction") if isinstance(value, dict) else None
        if not isinstance(prompt, str) or is_blank(prompt):
            raise DataError(f"{path}, row {number} has no text in instruction: this is not the authors' file")
        prompts.append(prompt)
    return prompts


def _gold(path: Path) -> list[tuple[str, ...]]:
    """The gold texts of a file, without blanks at their ends: one or a list of them for each question."""
    golds = []
    for number, value in enumerate(_lines(path), start=1):
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) and not is_blank(text) for text in texts):
            raise DataError(f"{path}, row {number} holds no gold text: this is not the authors' file")
        golds.append(tuple(dict.fromkeys(map(stripped, texts))))
    return golds


def _options(benchmark: Benchmark, language: str, prompt: str, place: str) -> dict[str, str] | None:
    """The option texts of a prompt, None where it is no choice. Raises `DataError` for other words."""
    if benchmark.kind != "choice":
        return None
    options = find_template(benchmark.name, language).options_of(prompt)
    if options is None:
        raise DataError(f"{place} is not in the words of {benchmark.title}: this is not the authors' file")
    return {label: stripped(text) for label, text in options.items()}
