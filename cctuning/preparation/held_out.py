"""Splits parallel rows so that a model can be asked in languages in which it was not trained on the answers.

An item is a question with the same id in several languages. Every item is trained in English and in some of
the languages, and asked in the others (held_out): in half of them, or the share that --held_out names, other
ones from item to item. A share of the items is trained in English alone, and asked in all languages
(english_only). So scores say what a model carries over from one language to another:

    DIR/train.jsonl         rows to train on
    DIR/english.jsonl       those of them in English, for a training that comes first
    DIR/aligned.jsonl       train.jsonl, and held_out's questions without answers, for connection.alignment
    DIR/held_out.yaml       questions, beside DIR/held_out/LANGUAGE.jsonl
    DIR/english_only.yaml   questions, beside DIR/english_only/LANGUAGE.jsonl
    DIR/pilot.yaml          with --pilot: held-out questions that are not in held_out.yaml, and their English

    cctuning evaluate model=MODEL benchmarks=[DIR/held_out.yaml,DIR/english_only.yaml]
    cctuning probe recipe=where model=MODEL benchmarks=[DIR/pilot.yaml]

Rows need output_en. Items are left out that are not there in all languages, and those of which --per_answer
others have the same English answer. Two that ask for each other's answers ("The capital of Peru is", "Lima is
the capital of") are trained and held out together. An item whose answer stands in its question is
trained, and not asked.
"""

import argparse
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cctuning.data.fields import is_english
from cctuning.data.rows import Row
from cctuning.evaluation.items.files import write_items
from cctuning.evaluation.items.item import Item
from cctuning.evaluation.scoring.words import words
from cctuning.preparation.command import (
    add_row_arguments,
    check_target,
    language_table,
    named_rows,
    script,
    share,
    whole_number,
)
from cctuning.preparation.files import write_rows
from cctuning.preparation.manifest import manifest_path, read_manifest, write_manifest
from cctuning.tools.console import new_console
from cctuning.tools.files import write_whole

HELD_OUT, ENGLISH_ONLY, PILOT = "held_out", "english_only", "pilot"

# In the manifest, and with another one of these it is another split.
_SETTINGS = ("languages", "items", "held_out", "english_only", "questions", "per_answer")
_ANSWER_WORDS = 5  # of the longest answer that is looked for in other questions

Versions = dict[str, Row]  # the rows of an item, by language


def _prepare(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_target(options.data, options.output, option="--output")
    settings = {key: getattr(options, key) for key in _SETTINGS}
    _check_same_split(options.output, settings, options.seed)
    rows, _ = named_rows(options)
    made = split(
        rows,
        languages=options.languages,
        items=options.items,
        held_out=options.held_out,
        english_only=options.english_only,
        questions=options.questions,
        per_answer=options.per_answer,
        pilot=options.pilot,
        seed=options.seed,
    )
    files = [options.output / f"{name}.jsonl" for name in ("train", "english", "aligned")]
    write_rows(made.rows, files[0])
    write_rows([row for row in made.rows if is_english(row.language)], files[1])
    write_rows([*made.rows, *made.prompts], files[2])
    for (kind, language), items in made.questions.items():
        files.append(options.output / kind / f"{language}.jsonl")
        write_items(files[-1], items)
    for kind in dict.fromkeys(kind for kind, _ in made.questions):
        files.append(options.output / f"{kind}.yaml")
        write_whole(files[-1], "kind: short_answer\n")
    counts = Counter(row.language for row in made.rows)
    write_manifest(
        options.output,
        command=command,
        inputs=options.data,
        outputs=files,
        counts=counts,
        seed=options.seed,
        settings=settings | {"pilot": options.pilot},
        left_out=made.left_out,
    )
    console = new_console()
    console.print(language_table(counts))
    for reason, count in made.left_out.most_common():
        console.print(f"left out: {count:,} ({reason})")
    questions: Counter[str] = Counter()
    for (kind, _), items in made.questions.items():
        questions[kind] += len(items)
    shown = ", ".join(f"{count:,} {kind}" for kind, count in questions.items())
    console.say(
        f"{len(made.rows):,} rows to train on, {len(made.prompts):,} questions without answers; "
        f"questions: {shown} -> {options.output}"
    )
    return 0


def _check_same_split(folder: Path, settings: Mapping[str, Any], seed: int) -> None:
    """Raises `ValueError` for a folder with another split, some of whose questions would stay there."""
    for entry in read_manifest(folder) if manifest_path(folder).exists() else ():
        made = entry.get("settings", {}) | {"seed": entry.get("seed")}
        if "per_answer" not in made:  # of another script
            continue
        others = [
            f"{name}={made[name]}"
            for name, value in {**settings, "seed": seed}.items()
            if made.get(name, value) != value
        ]
        if others:
            raise ValueError(
                f"{folder} holds another split, with {', '.join(others)}: take it away, or name another one"
            )


@dataclass
class Split:
    """Rows to train on, questions by kind and language, and why items are in neither."""

    rows: list[Row] = field(default_factory=list)
    prompts: list[Row] = field(default_factory=list)  # held-out questions, without answers
    questions: dict[tuple[str, str], list[Item]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def split(
    rows: Sequence[Row],
    *,
    languages: Sequence[str] = (),
    items: int | None = None,
    held_out: float = 0.5,
    english_only: float = 0.15,
    questions: int = 100,
    per_answer: int = 6,
    pilot: int = 0,
    seed: int = 0,
) -> Split:
    """The split that the module describes; its draws depend on `seed` and the ids alone.

    `languages`: by default all but English. `items`: at most so many. `held_out`: the share of the languages
    in which an item is asked and not trained, at least one language and not all. `questions`: at most so many
    of a kind in a language. `per_answer`: at most so many items, and questions of a kind in a language, that
    have one English answer. `pilot`: so many held-out questions of a language beside those. Raises
    `ValueError` where nothing could be asked, and where there are not so many.
    """
    made = Split()
    present = sorted({row.language for row in rows if not is_english(row.language)})
    chosen = list(dict.fromkeys(languages)) or present
    if missing := [language for language in chosen if language not in present]:
        raise ValueError(
            f"languages: no row is in {missing[0]}; the rows are in {', '.join(present) or 'English alone'}"
        )
    if len(chosen) < 2:
        source = "languages names" if languages else "the rows have"
        raise ValueError(
            f"a split needs two languages beside English, and {source} {', '.join(chosen) or 'none'}"
        )
    known = _items(rows, chosen, made.left_out)
    order = random.Random(f"{seed} order").sample(sorted(known), len(known))
    taken, over = _at_most(per_answer, order, known)
    made.left_out["as many items have the same answer"] += over
    kept = {id: known[id] for id in taken[:items]}
    if not kept:
        raise ValueError(f"no item is there in all of {', '.join(chosen)} with output_en")
    number = min(max(round(held_out * len(chosen)), 1), len(chosen) - 1)
    held = _held_out(kept, chosen, number, english_only, random.Random(f"{seed} held_out"))
    made.rows = list(_training_rows(kept, held))
    random.Random(f"{seed} rows").shuffle(made.rows)
    made.prompts = [
        replace(versions[language], output="", output_en=None)
        for id, versions in kept.items()
        for language in chosen
        if language in held[id] and len(held[id]) < len(chosen)
    ]
    askable = [id for id, versions in kept.items() if not _gives_away_its_answer(versions)]
    for kind, language in itertools.product((HELD_OUT, ENGLISH_ONLY), chosen):
        of_kind = [
            id
            for id in askable
            if language in held[id] and (len(held[id]) == len(chosen)) == (kind == ENGLISH_ONLY)
        ]
        drawn, _ = _at_most(per_answer, of_kind, kept)
        if drawn:
            made.questions[kind, language] = [_question(kept[id][language]) for id in drawn[:questions]]
        if kind == HELD_OUT and pilot:
            made.questions[PILOT, language] = [
                _question(kept[id][language]) for id in _pilot(drawn[questions:], pilot, language)
            ]
    if not made.questions:
        raise ValueError("every answer stands in its own question: there is nothing to ask")
    if pilot:  # activations come from the English prompts, which are asked as they are, too
        ids = dict.fromkeys(item.id for language in chosen for item in made.questions[PILOT, language])
        made.questions[PILOT, "en"] = [_english_question(kept[str(id)]) for id in ids]
    return made


def _pilot(others: Sequence[str], number: int, language: str) -> Sequence[str]:
    """The first `number` of the held-out items that are not asked. Raises `ValueError` for too few."""
    if len(others) < number:
        raise ValueError(
            f"pilot: beside the held-out questions in {language} that are asked {len(others)} are left, and "
            f"{number} are wanted: lower --pilot or --questions"
        )
    return others[:number]


def _items(rows: Sequence[Row], languages: Sequence[str], left_out: Counter[str]) -> dict[str, Versions]:
    """By id the rows of the items that are there in all languages, with an English answer."""
    versions: dict[str, Versions] = defaultdict(dict)
    for row in rows:
        if row.language in languages:
            versions[row.id].setdefault(row.language, row)
    complete = {}
    for id, of_item in versions.items():
        if len(of_item) < len(languages):
            left_out["not in all languages"] += 1
        elif any(row.output_en is None for row in of_item.values()):
            left_out["no English answer"] += 1
        else:
            complete[id] = {language: of_item[language] for language in languages}
    return complete


def _at_most(number: int, ids: Sequence[str], items: dict[str, Versions]) -> tuple[list[str], int]:
    """Those of which fewer than `number` before them have the same English answer, and how many others."""
    seen: Counter[str] = Counter()
    kept = []
    for id in ids:
        answer = _english(items[id])[1]
        if seen[answer] < number:
            kept.append(id)
        seen[answer] += 1
    return kept, len(ids) - len(kept)


def _held_out(
    items: dict[str, Versions],
    languages: Sequence[str],
    number: int,
    english_only: float,
    draw: random.Random,
) -> dict[str, frozenset[str]]:
    """By id the languages in which an item is not trained: `number` of them, or all of them.

    Those come next that were held out of the fewest items, in a drawn order, so that every language is
    trained about as often as every other.
    """
    held: dict[str, frozenset[str]] = {}
    asked: Counter[str] = Counter()
    for group in _groups(items):
        if len(held) < english_only * len(items):
            held |= dict.fromkeys(group, frozenset(languages))
            continue
        least = sorted(draw.sample(languages, len(languages)), key=asked.__getitem__)[:number]
        asked.update(least * len(group))
        held |= dict.fromkeys(group, frozenset(least))
    return held


def _groups(items: dict[str, Versions]) -> list[list[str]]:
    """Items that ask for each other's answers together, in the order of the first."""
    english = {id: _english(versions) for id, versions in items.items()}
    by_answer: dict[str, list[str]] = defaultdict(list)
    for id, (_, answer) in english.items():
        by_answer[" ".join(words(answer))].append(id)
    group_of: dict[str, list[str]] = {}
    groups: list[list[str]] = []
    for id, (prompt, answer) in english.items():
        named = {answer for phrase in _phrases(words(prompt)) for answer in by_answer.get(phrase, ())}
        inverse = [other for other in named if other in group_of and answer in english[other][0]]
        if not inverse:
            groups.append([])
        group_of[id] = group_of[min(inverse)] if inverse else groups[-1]
        group_of[id].append(id)
    return groups


def _phrases(prompt: Sequence[str]) -> Iterator[str]:
    """All runs of a few words."""
    for start, length in itertools.product(range(len(prompt)), range(1, _ANSWER_WORDS + 1)):
        yield " ".join(prompt[start : start + length])


def _training_rows(items: dict[str, Versions], held: dict[str, frozenset[str]]) -> Iterator[Row]:
    for id, versions in items.items():
        first = next(iter(versions.values()))
        yield replace(first, language="en", instruction=first.instruction_en, output=first.output_en or "")
        yield from (row for language, row in versions.items() if language not in held[id])


def _gives_away_its_answer(versions: Versions) -> bool:
    """Whether the answer stands in the question, in one of the languages."""
    prompt, answer = _english(versions)
    return answer in prompt or any(row.output.lower() in row.instruction.lower() for row in versions.values())


def _english(versions: Versions) -> tuple[str, str]:
    """The English question and answer of an item, in lower case."""
    first = next(iter(versions.values()))
    return first.instruction_en.lower(), (first.output_en or "").lower()


def _question(row: Row) -> Item:
    return Item(
        id=row.id,
        language=row.language,
        prompt=row.instruction,
        prompt_en=row.instruction_en,
        answers=(row.output,),
        details={"answer_en": [row.output_en]},
    )


def _english_question(versions: Versions) -> Item:
    first = next(iter(versions.values()))
    return Item(first.id, "en", first.instruction_en, first.instruction_en, (first.output_en or "",))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_row_arguments(parser)
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR", help="folder of the rows and the questions")
    add("--languages", nargs="+", default=[], metavar="CODE", help="default: all but English")
    add("--items", type=whole_number, help="at most so many (default: all)")
    add("--held_out", type=share, default=0.5, help="share of the languages not trained (default: 0.5)")
    add("--english_only", type=share, default=0.15, help="share trained in English alone (default: 0.15)")
    add("--questions", type=whole_number, default=100, help="of a kind in a language (default: 100)")
    add("--per_answer", type=whole_number, default=6, help="items with one English answer (default: 6)")
    add(
        "--pilot",
        type=whole_number,
        default=0,
        help="held-out questions of a language for probe (default: 0)",
    )
    add("--seed", type=int, default=0, help="of the draws (default: 0)")


main = script("held_out", __doc__, _add_arguments, _prepare, keep_lines=True)

if __name__ == "__main__":
    raise SystemExit(main())
