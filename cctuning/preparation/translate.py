"""Adds translations to training rows: the English parallels of prompts, or of any field into any language.

Rows that have the translation keep it. Every translation is checked; a row whose translation is faulty is
listed beside the output and left out of it, or with --on-fault keep stays in it. What was translated is kept
in a cache, so the same command goes on after an interruption and translates no text twice.
"""

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from cctuning.data.fields import UNKNOWN_LANGUAGE, is_blank
from cctuning.data.language_id import identify
from cctuning.data.rows import Problem, Row, write_rejects
from cctuning.preparation.command import add_row_arguments, check_target, rows_file, script, whole_number
from cctuning.preparation.files import rejects_path, write_rows
from cctuning.preparation.manifest import count_languages, write_manifest
from cctuning.preparation.untranslated import read_candidates
from cctuning.tools.console import new_console
from cctuning.tools.progress import progress_bar
from cctuning.translation import ENGINES, KINDS, Translation, load_translator, translate_all
from cctuning.translation.cache import CHUNK
from cctuning.translation.languages import find_language

_TEXTS = ("instruction", "instruction_en", "output", "output_en")
_VLLM_CHUNK = 1024  # texts between two savings: vLLM makes its batches of all that it is given
_NO_LANGUAGE = "is missing; say it with --language, or have it identified with --from auto"


def _run(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_target(options.data, options.output, option="--output")
    if options.field == options.to_field:
        raise ValueError(f"--to-field {options.to_field} is the field that is translated: name another one")
    console = new_console(soft_wrap=True)
    rows, problems = read_candidates(
        options.data,
        columns=dict(options.column),
        split=options.split,
        language=options.language,
        field=options.field,
        to_field=options.to_field,
    )
    rows, unknown = without_language(rows, options)
    problems += unknown
    languages = source_languages(rows, options)
    missing = [number for number, row in enumerate(rows) if is_blank(row[options.to_field])]
    translations = _translations(rows, languages, missing, options, console)
    kept, rejected = apply(rows, missing, translations, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_rows(kept, options.output)
    problems += rejected
    listed = write_rejects(problems, rejects_path(options.output))
    # Faults are counted without what is the row's own: numbers and quotations.
    reasons = Counter(re.sub(r"'.*'|\d[\d.,e+-]*", "...", problem.message) for problem in problems)
    write_manifest(
        options.output,
        command=command,
        inputs=options.data,
        outputs=[options.output, rejects_path(options.output)],
        counts=count_languages(kept),
        settings={
            "field": options.field,
            "to_field": options.to_field,
            "target": options.target,
            "translators": sorted(
                {translation.translator for translation in translations if translation.translator}
            ),
            "translated": len(missing),
        },
        left_out=dict(reasons),
        packages=["transformers", "ctranslate2"],
    )
    for reason, count in reasons.most_common(10):
        console.print(f"{count} with a fault: {reason}")
    console.print(f"{len(kept):,} rows -> {options.output}; {listed:,} -> {rejects_path(options.output)}")
    return 0


def without_language(
    rows: Sequence[dict[str, Any]], options: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The rows less those to translate that do not say their language, where it goes by that; and these.

    Raises `ValueError` where all rows to translate are such.
    """
    if options.field.endswith("_en") or options.source != "column":
        return list(rows), []
    kept: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for row in rows:
        if row["language"] == UNKNOWN_LANGUAGE and is_blank(row[options.to_field]):
            problems.append(Problem(row["file"], row["number"], "language", _NO_LANGUAGE, row))
        else:
            kept.append(row)
    if problems and not any(is_blank(row[options.to_field]) for row in kept):
        raise ValueError(str(problems[0]))
    return kept, problems


def source_languages(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """The language of each row's text: a code that was given, the row's own, or (`auto`) what it looks like.

    Fields that end in `_en` are English. Raises `ValueError` for a code that is no language.
    """
    if options.field.endswith("_en"):
        return ["en"] * len(rows)
    if options.source == "auto":
        return [guess.code or options.target for guess in identify([row[options.field] for row in rows])]
    if options.source != "column":
        return [find_language(options.source).code] * len(rows)
    return [row["language"] for row in rows]


def _translations(
    rows: Sequence[dict[str, Any]],
    languages: Sequence[str],
    missing: Sequence[int],
    options: argparse.Namespace,
    console: Console,
) -> list[Translation]:
    """The translations of the rows that lack one, with a bar."""
    in_vllm = options.engine == "vllm"
    if options.engine_argument and not in_vllm:
        raise ValueError("--engine-argument is for --engine vllm")
    if options.retry_beam_size and in_vllm:
        raise ValueError("--retry-beam-size is not for --engine vllm, which is asked greedily")
    translator = load_translator(
        options.translator,
        model=options.model,
        beam_size=options.beam_size,
        batch_size=options.batch_size,
        engine=options.engine,
        engine_arguments=dict(options.engine_argument),
    )
    retry = None
    if options.retry_beam_size:
        if not hasattr(translator, "with_beam_size"):
            raise ValueError(f"--retry-beam-size is not for --translator {options.translator}")
        retry = translator.with_beam_size(options.retry_beam_size)
    with progress_bar("translating", console=console) as bar:
        return translate_all(
            translator,
            [rows[number][options.field] for number in missing],
            sources=[languages[number] for number in missing],
            target=options.target,
            cache=options.cache or options.output.with_suffix(".translations.jsonl"),
            retry=retry,
            skip_unknown=True,
            chunk=_VLLM_CHUNK if in_vllm else CHUNK,
            progress=bar.update,
        )


def apply(
    rows: Sequence[dict[str, Any]],
    missing: Sequence[int],
    translations: Sequence[Translation],
    options: argparse.Namespace,
) -> tuple[list[Row], list[Problem]]:
    """The rows with their translations, and one problem for each fault.

    A row with a fault is left out, except with `on_fault="keep"` where it has a translation at all.
    """
    by_number = dict(zip(missing, translations, strict=True))
    kept: list[Row] = []
    problems: list[Problem] = []
    for number, values in enumerate(rows):
        row = dict(values)
        faults: tuple[str, ...] = ()
        if number in by_number:
            row[options.to_field] = by_number[number].text or None
            faults = by_number[number].faults
        problems += [Problem(row["file"], row["number"], options.to_field, fault, row) for fault in faults]
        if not faults or (options.on_fault == "keep" and row[options.to_field]):
            kept.append(Row(**row))
    return kept, problems


def _engine_argument(text: str) -> tuple[str, Any]:
    """A name and a value, read as YAML."""
    name, sign, value = text.partition("=")
    if not (name.isidentifier() and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, yaml.safe_load(value)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_row_arguments(parser, english=False)  # it is what is to be made
    add = parser.add_argument
    add("--output", type=rows_file, required=True, metavar="FILE", help="where the rows go")
    add("--field", choices=_TEXTS, default="instruction", help="what is translated (default: %(default)s)")
    add("--to-field", choices=_TEXTS, default="instruction_en", help="where it goes (default: %(default)s)")
    add(
        "--from",
        dest="source",
        default="column",
        metavar="auto|column|CODE",
        help="the field's language: identified, that of the row, or this one (default: %(default)s)",
    )
    add(
        "--target", default="en", metavar="CODE", help="the language to translate into (default: %(default)s)"
    )
    add("--translator", choices=KINDS, required=True, help="docs/translation.md says which one when")
    add("--model", required=True, help="its folder or hub name; for file: the file of translations")
    add("--engine", choices=ENGINES, default="hf", help="of self: transformers, or vLLM (default: hf)")
    add(
        "--engine-argument",
        type=_engine_argument,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of vLLM's LLM: max_model_len=4096",
    )
    add("--beam-size", type=whole_number, default=1, help="1 is greedy (default: %(default)s)")
    add("--batch-size", type=whole_number, default=16, help="sentences at a time (default: %(default)s)")
    add(
        "--retry-beam-size",
        type=whole_number,
        help="translates again what comes out faulty, with so many beams",
    )
    add(
        "--on-fault",
        choices=("reject", "keep"),
        default="reject",
        help="what becomes of a row with a faulty translation; it is listed in both cases",
    )
    add("--cache", type=Path, metavar="FILE", help="default: beside the output, .translations.jsonl")


main = script(
    "translate",
    __doc__,
    _add_arguments,
    _run,
    stopped="stopped; the same command goes on, what was translated is kept",
)

if __name__ == "__main__":
    raise SystemExit(main())
