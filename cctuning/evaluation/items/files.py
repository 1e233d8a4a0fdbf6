"""Local files of questions -> items, every one checked."""

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cctuning.data.fields import (
    is_blank,
    is_language_code,
    is_unicode,
    shown,
    stripped,
    type_name,
    whole_number,
)
from cctuning.data.formats import ONE_OBJECT, DataError, Record, json_records, parquet_records
from cctuning.data.rows import Problem, listed
from cctuning.evaluation.items.benchmark import Benchmark
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.items.prompt_templates import PromptTemplate
from cctuning.settings.near_matches import did_you_mean
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import to_json

__all__ = ["SUFFIXES", "BadItemsError", "Item", "available_languages", "read_items", "write_items"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
_KEYS = ("id", "language", "prompt", "prompt_en", "answer", "options", "option_texts")


class BadItemsError(ValueError):
    """Questions that cannot be asked or judged; the message lists the first, `problems` holds all."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(listed(problems, "item"))


def available_languages(folder: str | Path, benchmark: Benchmark) -> list[str]:
    """The languages that have a file in FOLDER/TITLE, by name; none where the folder is not there."""
    return sorted(_files(Path(folder).expanduser() / benchmark.title))


def read_items(folder: str | Path, benchmark: Benchmark, language: str) -> list[Item]:
    """The items of FOLDER/TITLE/LANGUAGE, a .jsonl, .json (also .gz) or .parquet file, in its order.

    A row has `id`, `prompt`, `prompt_en`, `answer` (a list of gold texts; of a choice one label), of a choice
    `options` (label -> text), and may have `language` and `option_texts`; all else goes into `details`, such
    as `answer_en`, a list of English gold texts. The text that is only a parallel (`prompt_en`, or `prompt`
    where the benchmark asks in English) may be null.
    Texts are read without blanks at their ends: a gold text with one could occur in no response.

    Raises `DataError` where there is no such file or it cannot be read, naming the languages that are there,
    and `BadItemsError` for rows that are no items, with file, row and field of each.
    """
    folder = Path(folder).expanduser()
    path = _file(folder, benchmark, language)
    records = _records(path) if benchmark.folder is None else own_records(folder, benchmark, language)
    items: list[Item] = []
    problems: list[Problem] = []
    first: dict[int | str, int] = {}
    for record in records:
        faults = list(_faults(record, benchmark, language))
        if not faults:
            item = _item(record, language, str(path))
            if item.id in first:
                faults.append(("id", f"{item.id!r} is that of row {first[item.id]} too"))
            first.setdefault(item.id, record.number)
            items.append(item)
        problems += [Problem(str(path), record.number, field, message) for field, message in faults]
    if problems:
        raise BadItemsError(problems)
    if not items:
        raise DataError(f"{path} holds no items")
    return items


def _records(path: Path) -> Iterator[Record]:
    return parquet_records(path) if path.suffix == ".parquet" else json_records(path)


# --- Benchmarks of one's own --------------------------------------------------------------------------------


def own_records(folder: Path, benchmark: Benchmark, language: str) -> Iterator[Record]:
    """The rows of a benchmark of one's own, as those of any other have them.

    A lone answer becomes a list, listed options get the labels A, B, ... Where the benchmark has prompts,
    rows without one get theirs, and that of the English row with the same id beside it.
    """
    english: dict[Any, dict[str, Any]] = {}
    needs_english = benchmark.prompts and language != "en" and benchmark.parallel
    if needs_english and "en" in available_languages(folder, benchmark):
        records = map(_in_lists, _records(_file(folder, benchmark, "en")))
        english = {_id(record): record.values for record in records if isinstance(record.values, dict)}
    for record in map(_in_lists, _records(_file(folder, benchmark, language))):
        if isinstance(record.values, dict) and benchmark.prompts and "prompt" not in record.values:
            parallel = record.values if language == "en" else english.get(_id(record))
            yield _prompted(record, parallel, benchmark.prompts, language)
        elif isinstance(record.values, dict):
            yield replace(record, values={"prompt_en": None, **record.values})
        else:
            yield record


def _id(record: Record) -> str:
    return str(record.values.get("id"))


def _in_lists(record: Record) -> Record:
    values = record.values
    if not isinstance(values, dict):
        return record
    answer, options = values.get("answer"), values.get("options")
    changed: dict[str, Any] = {}
    if isinstance(answer, str | int | float) and not isinstance(answer, bool):
        changed["answer"] = [str(answer)]
    if isinstance(options, list):
        changed["options"] = dict(zip(string.ascii_uppercase, options, strict=False))
    return replace(record, values={**values, **changed})


def _prompted(
    record: Record, english: dict[str, Any] | None, templates: Mapping[str, PromptTemplate], language: str
) -> Record:
    """The row with its prompt and its English parallel; None for a row that there is none of."""
    try:
        prompt = _rendered(record.values, templates, language)
        parallel = None if english is None else _rendered(english, templates, "en")
    except KeyError as error:
        has = ", ".join(map(str, record.values))
        return replace(record, fault=f"lacks the field {error.args[0]!r} of the prompt; it has {has}")
    return replace(record, values={**record.values, "prompt": prompt, "prompt_en": parallel})


def _rendered(values: dict[str, Any], templates: Mapping[str, PromptTemplate], language: str) -> str:
    template = templates.get(language) or templates.get("") or next(iter(templates.values()))
    fields = {name: str(value) for name, value in values.items()}
    if isinstance(options := values.get("options"), dict):
        fields["options"] = "\n".join(f"({label}) {text}" for label, text in _given(options).items())
    return template.render(fields)


def write_items(path: str | Path, items: Sequence[Item]) -> None:
    """Writes items as JSON lines that `read_items` reads, the file whole or not at all; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(to_json(_row(item)) + "\n" for item in items))


def _row(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "language": item.language,
        "prompt": item.prompt or None,
        "prompt_en": item.prompt_en or None,
        "answer": list(item.answers),
        "options": dict(item.options) if item.options else None,
        "option_texts": list(item.options.values()) if item.options else None,
        **item.details,
    }


# --- Files --------------------------------------------------------------------------------------------------


def _file(folder: Path, benchmark: Benchmark, language: str) -> Path:
    """The one file of that benchmark and language."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is no folder of benchmarks: it should hold {benchmark.title}/{language}.jsonl "
            "(cctuning prepare benchmarks --help)"
        )
    place = folder / benchmark.title
    if not place.is_dir():
        folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise DataError(
            f"{folder} has no folder {benchmark.title}, only {', '.join(folders) or 'files'}"
            f"{did_you_mean(benchmark.title, folders)}"
        )
    files = _files(place)
    if language not in files:
        known = sorted(files)
        raise DataError(
            f"{place} has no file of the language {language!r}, such as {language}.jsonl; "
            f"its languages: {', '.join(known) or 'none'}"
        )
    if len(files[language]) > 1:
        names = " and ".join(path.name for path in files[language])
        raise DataError(f"{place} holds {names}: keep one file a language")
    return files[language][0]


def _files(place: Path) -> dict[str, list[Path]]:
    """The files of a benchmark's folder by language."""
    files: dict[str, list[Path]] = {}
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
        name = path.name.removesuffix(suffix or "")
        if suffix and is_language_code(name):  # also a link that leads nowhere: reading it says so
            files.setdefault(name, []).append(path)
    return files


# --- Rows ---------------------------------------------------------------------------------------------------


def _faults(record: Record, benchmark: Benchmark, language: str) -> Iterator[tuple[str, str]]:
    """The faults that keep a record from being an item: field and message."""
    values = record.values
    if record.fault:
        yield "", record.fault
    elif not isinstance(values, dict):
        yield "", f"is {type_name(values)}: {ONE_OBJECT}"
    elif missing := [key for key in ("id", "prompt", "prompt_en", "answer") if key not in values]:
        yield from ((key, f"is missing{did_you_mean(key, values)}") for key in missing)
    else:
        if isinstance(values["id"], str):
            yield from (("id", fault) for fault in _text_faults(values["id"]))
        elif whole_number(values["id"]) is None:
            yield "id", f"is {type_name(values['id'])}, must be a whole number or text"
        if values.get("language") not in (None, language):
            yield "language", f"{values['language']!r} is another than the file's, {language!r}"
        only_parallel = "prompt" if benchmark.asked_in_english else "prompt_en"
        for key in ("prompt", "prompt_en"):
            if values[key] is not None or key != only_parallel:
                yield from ((key, fault) for fault in _text_faults(values[key]))
        yield from _answer_faults(values, benchmark)
        if values.get("answer_en") is not None:
            yield from (("answer_en", fault) for fault in _texts_faults(values["answer_en"]))


def _text_faults(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"is {type_name(value)}, must be text"
    elif is_blank(value):
        yield "is empty"
    elif not is_unicode(value):
        yield "holds half of a surrogate pair, which is no character"


def _texts_faults(value: Any) -> Iterator[str]:
    """The fault of what should be a list of texts."""
    if not isinstance(value, list) or not value:
        yield f"is {'an empty list' if value == [] else type_name(value)}, must be a list of texts"
    elif text_faults := [fault for text in value for fault in _text_faults(text)]:
        yield f"holds what {text_faults[0]}"


def _answer_faults(values: dict[str, Any], benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    answers: Any = values["answer"]
    options: Any = values.get("options")
    if text_faults := list(_texts_faults(answers)):
        yield from (("answer", fault) for fault in text_faults)
    elif benchmark.kind != "choice":
        if options is not None:
            yield "options", f"are there, and {benchmark.title} is no choice"
    elif option_faults := list(_option_faults(values, options, benchmark)):
        yield from option_faults
    elif len(answers) > 1:
        yield "answer", f"holds {len(answers)} labels, and one of {', '.join(_given(options))} is right"
    elif stripped(answers[0]) not in _given(options):
        yield "answer", f"{shown(answers[0])} is no option: {', '.join(_given(options))}"


def _option_faults(values: dict[str, Any], options: Any, benchmark: Benchmark) -> Iterator[tuple[str, str]]:
    if not isinstance(options, dict):
        yield "options", f"is {type_name(options)}, must be an object from labels to texts"
        return
    given = _given(options)
    for label, text in given.items():
        yield from (("options", f"{label}: {fault}") for fault in _text_faults(text))
    if benchmark.labels and tuple(given) != benchmark.labels:
        yield "options", f"are {', '.join(given) or 'none'}, must be {', '.join(benchmark.labels)}"
    elif len(given) < 2:
        yield "options", f"has {len(given)}, and a choice needs two"
    texts = values.get("option_texts")
    if texts is not None and texts != list(given.values()):
        yield "option_texts", "are not the texts of options, in their order"


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a row: Parquet fills in the labels of other rows with null."""
    return {label: text for label, text in options.items() if text is not None}


def _item(record: Record, language: str, file: str) -> Item:
    values = record.values
    options = values.get("options")
    id = values["id"] if isinstance(values["id"], str) else whole_number(values["id"])
    assert id is not None
    return Item(
        id=id,
        language=language,
        prompt=stripped(values["prompt"] or ""),
        prompt_en=stripped(values["prompt_en"] or ""),
        answers=tuple(dict.fromkeys(map(stripped, values["answer"]))),
        options=None
        if options is None
        else {label: stripped(text) for label, text in _given(options).items()},
        details={key: value for key, value in values.items() if key not in _KEYS},
        file=file,
        number=record.number,
    )
