"""Benchmarks on the Hugging Face hub -> items, with the papers' sampling and prompts."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cctuning.data.fields import stripped
from cctuning.data.formats import DataError
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.prompt_templates import PromptTemplate, find_template
from cctuning.evaluation.items.raw_questions import HubSet, RawQuestion, Read, Rows
from cctuning.evaluation.items.sampling import sample_positions
from cctuning.translation import Translation

# Texts, source and target language -> their translations.
Translate = Callable[[Sequence[str], str, str], Sequence[Translation]]


def load_items(
    benchmark: Benchmark,
    language: str,
    *,
    read: Read | None = None,
    translate: Translate | None = None,
    positions: Callable[[int], Sequence[int]] | None = None,
    templates: str | None = None,
) -> list[Item]:
    """The items of a benchmark in one language, from the hub.

    Ids count from 0; `source_id` in the details is the question's id in its source. Of a benchmark that is
    parallel, English and every other language have the same ids. Of a parallel text whose translation looks
    faulty, `parallel_faults` in the details says why.

    Args:
        benchmark: which one.
        language: one that it has prompts in.
        read: reads the sets, by default anew from the hub; a `Reader` for more languages reads each set once.
        translate: writes the parallel texts that the hub does not have: English articles of XLSum, and the
            questions of GlobalOpinionQA in other languages. Without it these texts are "".
        positions: from the number of questions to those that are taken; by default the paper's sample.
        templates: the name of other wordings than the benchmark's own, such as `xtransplant_xnli`.

    Raises `DataError` for a set that cannot be loaded, `ValueError` for a language without prompts.
    """
    read = read or Reader()
    in_english = find_template(templates or benchmark.name, "en")
    template = (
        in_english if benchmark.asked_in_english else find_template(templates or benchmark.name, language)
    )
    questions = _questions(benchmark, read, language)
    chosen = positions or (lambda total: sample_positions(range(total), benchmark.sample_size))
    english = questions if language == "en" or not benchmark.parallel else _questions(benchmark, read, "en")
    by_id = {question.id: question for question in english}
    if benchmark.parallel:
        questions = [question for question in questions if question.id in by_id]
    taken = [questions[position] for position in chosen(len(questions))]
    prompts = [stripped(template.render(question.fields)) for question in taken]
    if language == "en":
        parallel = [_Parallel(prompt) for prompt in prompts]
    elif benchmark.parallel:
        parallel = [_Parallel(stripped(in_english.render(by_id[question.id].fields))) for question in taken]
    else:
        parallel = _translated(benchmark, language, taken, prompts, translate)
    rows = enumerate(zip(taken, prompts, parallel, strict=True))
    return [
        Item(
            id=number,
            language=language,
            prompt=other.text if benchmark.asked_in_english else prompt,
            prompt_en=prompt if benchmark.asked_in_english else other.text,
            answers=tuple(dict.fromkeys(map(stripped, question.answers))),
            options=question.options_in(template),
            details={
                "source_id": question.id,
                **question.details,
                **_english_answers(benchmark, language, by_id.get(question.id)),
                **other.details(),
            },
            number=number + 1,
        )
        for number, (question, prompt, other) in rows
    ]


def _questions(benchmark: Benchmark, read: Read, language: str) -> list[RawQuestion]:
    if benchmark.questions is None:
        raise DataError(f"{benchmark.title} has no sets on the hub: give a folder of local files")
    try:
        return benchmark.questions(read, language)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{benchmark.title} {language}: its set on the hub has other columns than before ({error!r})"
        ) from error


def _english_answers(benchmark: Benchmark, language: str, english: RawQuestion | None) -> dict[str, Any]:
    """The gold texts of the same question in English, for answers that are right in the wrong language."""
    if benchmark.kind != "short_answer" or not benchmark.parallel or language == "en" or english is None:
        return {}
    return {"answer_en": list(dict.fromkeys(map(stripped, english.answers)))}


class _Parallel(NamedTuple):
    """A parallel text, and what looks faulty about its translation."""

    text: str  # "" where there is none
    faults: tuple[str, ...] = ()

    def details(self) -> dict[str, Any]:
        return {"parallel_faults": list(self.faults)} if self.faults else {}


def _translated(
    benchmark: Benchmark,
    language: str,
    questions: Sequence[RawQuestion],
    prompts: Sequence[str],
    translate: Translate | None,
) -> list[_Parallel]:
    """The parallel texts of a benchmark whose languages hold different questions."""
    if translate is None:
        return [_Parallel("")] * len(prompts)
    if benchmark.asked_in_english:  # the whole prompt, since there is no template in the language
        return [
            _Parallel(translation.text, translation.faults)
            for translation in translate(prompts, "en", language)
        ]
    names = list(questions[0].fields)
    texts = [question.fields[name] for question in questions for name in names]
    translated = translate(texts, language, "en")
    template = find_template(benchmark.name, "en")
    rows = [translated[start : start + len(names)] for start in range(0, len(texts), len(names))]
    return [_joined(template, dict(zip(names, row, strict=True))) for row in rows]


def _joined(template: PromptTemplate, fields: Mapping[str, Translation]) -> _Parallel:
    """The prompt of translated fields; none where one of them has no translation."""
    faults = tuple(dict.fromkeys(fault for translation in fields.values() for fault in translation.faults))
    texts = {name: translation.text for name, translation in fields.items()}
    return _Parallel(stripped(template.render(texts)) if all(texts.values()) else "", faults)


class Reader:
    """Reads sets from the hub, each one once.

    Args:
        root: a folder with clones of the sets, ROOT/ORGANISATION/NAME, to read instead of the hub.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self._root = None if root is None else Path(root).expanduser()
        self.found: dict[HubSet, Rows] = {}

    def __call__(self, hub_set: HubSet) -> Rows:
        """The rows of a set. Raises `DataError` where it cannot be loaded."""
        if hub_set not in self.found:
            self.found[hub_set] = self._load(hub_set)
        return self.found[hub_set]

    def _load(self, hub_set: HubSet) -> Rows:
        """The rows of a set, from the hub's cache or a clone."""
        if self._root is None:
            return _rows(hub_set, hub_set.repository, "the hub", revision=hub_set.revision)
        path = self._root / hub_set.repository
        if not path.is_dir():
            raise DataError(f"{path} is no folder: it should hold a clone of {hub_set.repository}")
        # `datasets` knows a folder by its name alone and would bring back what it held the last time.
        with tempfile.TemporaryDirectory() as cache:
            return _rows(hub_set, str(path), str(self._root), cache_dir=cache, keep_in_memory=True)


def _rows(hub_set: HubSet, path: str, place: str, **options: Any) -> Rows:
    import datasets  # imported here: it takes a second that local files do not need

    files = {hub_set.split: hub_set.data_files} if hub_set.data_files else None
    try:
        data_set = datasets.load_dataset(
            path, hub_set.config, split=hub_set.split, data_files=files, **options
        )
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{hub_set.name} cannot be loaded from {place}: {error}") from error
    return [dict(row) for row in data_set]
