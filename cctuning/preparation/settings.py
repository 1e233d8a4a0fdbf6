"""Makes the rows that the paper's settings +EN and +MT add to a set of rows.

en: each row in English: the English prompt and the English response (column output_en).
mt: each row as a translation: "Translate the following sentence from English to Swahili.", the English
prompt, and as the response the prompt in its language. --direction into_english asks the other way round, in
the words in which a model is asked for translations of its own (inference=translated); both gives two rows.

The file holds the added rows alone: train on both, data=[data/mine.jsonl,data/mine_en.jsonl].
"""

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cctuning.data.fields import UNKNOWN_LANGUAGE, is_english
from cctuning.data.rows import Row
from cctuning.preparation.command import (
    add_row_arguments,
    check_target,
    language_table,
    named_rows,
    rows_file,
    script,
)
from cctuning.preparation.files import write_rows
from cctuning.preparation.manifest import write_manifest
from cctuning.tools.console import new_console
from cctuning.translation.languages import is_known
from cctuning.translation.prompt import translation_prompt

SETTINGS = ("en", "mt")
DIRECTIONS = ("from_english", "into_english", "both")  # of +MT; the paper's is the first


def _prepare(options: argparse.Namespace, command: Sequence[str]) -> int:
    check_target(options.data, options.write)
    console = new_console()
    if options.direction and options.setting != "mt":
        raise ValueError(f"--direction is of mt alone: {options.setting} adds no translations")
    direction = options.direction or DIRECTIONS[0]
    rows, _ = named_rows(options)
    added = english_rows(rows) if options.setting == "en" else translation_rows(rows, direction)
    if not added.rows:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in added.left_out.items())
        raise ValueError(f"there is nothing to add: {reasons}{_HINTS[options.setting]}")
    write_rows(added.rows, options.write)
    write_manifest(
        options.write,
        command=command,
        inputs=options.data,
        outputs=[options.write],
        counts=added.languages,
        settings={
            "setting": f"+{options.setting.upper()}",
            **({"direction": direction} if options.setting == "mt" else {}),
            "base rows": len(rows),
        },
        left_out=added.left_out,
    )
    console.print(language_table(added.languages))
    for reason, count in added.left_out.most_common():
        console.print(f"not added: {count:,} ({reason})")
    console.say(
        f"{len(added.rows):,} rows beside {len(rows):,}, together {len(added.rows) + len(rows):,} "
        f"-> {options.write}"
    )
    return 0


@dataclass
class Added:
    """The rows of a setting, the languages of the base rows behind them, and why others have none."""

    rows: list[Row] = field(default_factory=list)
    languages: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, base: Row, **changes: str | None) -> None:
        """Adds `base` with changes."""
        self.rows.append(replace(base, **changes))  # type: ignore[arg-type]  # names and types are Row's
        self.languages[base.language] += 1


def english_rows(rows: Sequence[Row]) -> Added:
    """+EN: each row's English prompt and response under its id.

    An id that is English already, in the base rows or from a row before, is not added again.
    """
    added = Added()
    english = {row.id for row in rows if is_english(row.language)}
    for row in rows:
        if is_english(row.language):
            added.left_out["English already"] += 1
        elif row.output_en is None:
            added.left_out["no English response"] += 1
        elif row.id in english:
            added.left_out["the same id in English is there"] += 1
        else:
            english.add(row.id)
            added.add(row, language="en", instruction=row.instruction_en, output=row.output_en)
    return added


def translation_rows(rows: Sequence[Row], direction: str = DIRECTIONS[0]) -> Added:
    """+MT: each row as a translation of its prompt from English, into English, or both.

    The prompt's words are English, so it is its own English parallel, and the row's language is English. The
    same id in two languages makes two different prompts, so the id gets the language: `q17:mt-sw`, and into
    English `q17:mt-sw-en`.
    """
    added = Added()
    for row in rows:
        if is_english(row.language):
            added.left_out["English: nothing to translate"] += 1
        elif row.language == UNKNOWN_LANGUAGE:
            added.left_out["the language is unknown"] += 1
        elif _plain(row.instruction) == _plain(row.instruction_en):
            added.left_out["the prompt is its own English"] += 1
        elif not is_known(row.language):
            added.left_out[f"no English name of {row.language} is known"] += 1
        else:
            if direction != "into_english":
                added.add(row, **_translation(row, "en", row.language))
            if direction != "from_english":
                added.add(row, **_translation(row, row.language, "en"))
    return added


def _translation(row: Row, source: str, target: str) -> dict[str, str | None]:
    """The fields that differ in the row that asks for a row's prompt in another language."""
    texts = row.instruction_en, row.instruction
    text, translation = texts if target != "en" else texts[::-1]
    prompt = translation_prompt(text, source=source, target=target)
    return {
        "id": f"{row.id}:mt-{row.language}" + ("-en" if target == "en" else ""),
        "language": "en",
        "instruction": prompt,
        "instruction_en": prompt,
        "output": translation,
        "output_en": None,
    }


_HINTS = {
    "en": "\nEnglish responses stand in the column output_en; cctuning prepare translate can add them",
    "mt": "\nThe language of a row stands in the column language; --language sets it for all",
}


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("setting", choices=SETTINGS, help="what is added")
    add_row_arguments(parser)
    parser.add_argument(
        "--direction", choices=DIRECTIONS, help=f"of the translations of mt (default: {DIRECTIONS[0]})"
    )
    parser.add_argument(
        "--write", type=rows_file, required=True, metavar="FILE", help="where the added rows go"
    )


main = script("settings", __doc__, _add_arguments, _prepare, keep_lines=True)

if __name__ == "__main__":
    raise SystemExit(main())
