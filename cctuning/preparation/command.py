"""Arguments and exit statuses that the scripts of this folder share."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from cctuning.commands.run import run
from cctuning.data.fields import NO_RESPONSE
from cctuning.data.formats import DataError
from cctuning.data.rows import BadRowsError, Problem, Row, read_rows
from cctuning.preparation.files import SUFFIXES
from cctuning.preparation.manifest import manifest_path, read_manifest

FAILED = 2  # as argparse ends for a command that cannot be understood
_BESIDE = 4  # languages in a line of a table
_REPAIR = "Repair them, or write the others to a file: cctuning prepare check DATA --write FILE"


def script(
    name: str,
    description: str | None,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    work: Callable[[argparse.Namespace, list[str]], int],
    *,
    keep_lines: bool = False,
    stopped: str = "stopped",
) -> Callable[..., int]:
    """The `main(arguments)` of a script, which returns its exit status; without arguments, of the process's.

    `--help` shows the `description` as one paragraph, or with `keep_lines` line by line. `work` gets the
    options, and the command as it was typed, for the manifest. Errors and signals end it as they end a
    command (see `run`), but with status 2 in place of 1.
    """
    lines = argparse.RawDescriptionHelpFormatter if keep_lines else argparse.HelpFormatter

    def main(arguments: Sequence[str] | None = None) -> int:
        parser = argparse.ArgumentParser(
            prog=f"cctuning prepare {name}", description=description, formatter_class=lines
        )
        add_arguments(parser)
        options = parser.parse_args(arguments)
        command = [*parser.prog.split(), *(sys.argv[1:] if arguments is None else arguments)]
        status: list[int] = []

        def with_advice() -> None:
            try:
                status.append(work(options, command))
            except BadRowsError as error:
                raise ValueError(f"{error.listed}\n{_REPAIR}") from error

        try:
            run(with_advice, stopped=stopped, failed=FAILED)
        except SystemExit as end:
            return int(end.code or 0)
        return status[0]

    return main


def add_row_arguments(parser: argparse.ArgumentParser, *, english: bool = True) -> None:
    """Adds `data`, `--column`, `--split`, `--language` and, with `english`, `--english`: sources of rows."""
    add = parser.add_argument
    add("data", nargs="+", help="JSONL, JSON, CSV, TSV or Parquet files, folders, globs, hub data sets")
    if english:
        add(
            "--english",
            action="append",
            default=[],
            metavar="FILE",
            help="the rows' English side, by the same ids, where it is in files of its own",
        )
    add(
        "--column",
        type=_column,
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="the column that holds a field, where the names differ",
    )
    add("--split", default="train", help="of data sets that have splits (default: train)")
    add("--language", help="of rows that do not say it themselves")


def named_rows(
    options: argparse.Namespace, *, english: bool = True, response: bool = True, on_bad_row: str = "error"
) -> tuple[list[Row], list[Problem]]:
    """The rows that the arguments of `add_row_arguments` name, as `read_rows` returns them."""
    try:
        return read_rows(
            options.data,
            columns=dict(options.column),
            split=options.split,
            language=options.language,
            english=english,
            response=response,
            parallels=options.english,
            on_bad_row=on_bad_row,
        )
    except DataError as error:
        raise DataError(_as_options(str(error))) from error


def _as_options(message: str) -> str:
    """A message about rows with options of a script in place of a recipe's settings."""
    message = re.sub(r"\bcolumns\.(\w+)=", r"--column \1=", message)
    options = {
        "english=FILE": "--english FILE",
        "connection.enabled=false": "check --plain",
        NO_RESPONSE: "rows without a response are for check --alignment",
    }
    for setting, option in options.items():
        message = message.replace(setting, option)
    return message


def check_target(data: Sequence[str], target: Path, *, option: str = "--write") -> None:
    """Raises `ValueError` where `target` is a source, or lies in one: a second call would read it.

    And where the manifest beside it cannot be read, which would be found out behind the work.
    """
    if manifest_path(target).exists():
        read_manifest(target)
    for name in data:
        source = Path(name)
        if target.resolve() == source.resolve():
            raise ValueError(f"{option} {target} is a file that is read: choose another one")
        if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
            raise ValueError(
                f"{option} {target} lies in {source}, whose files are all read: choose another folder, or "
                f"name the files, such as {source / '*.jsonl'}"
            )


def rows_file(text: str) -> Path:
    """The argparse type of a file that rows are written to."""
    if not text.endswith(SUFFIXES):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {' or '.join(SUFFIXES)}")
    return Path(text)


def whole_number(text: str) -> int:
    """The argparse type of a whole number from 1."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def share(text: str) -> float:
    """The argparse type of a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return number


def language_table(counts: Mapping[str, int]) -> Table:
    """Rows per language, the most first, several to a line."""
    table = Table(box=None, pad_edge=False)
    for _ in range(_BESIDE):
        table.add_column("language")
        table.add_column("rows", justify="right")
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for start in range(0, len(ordered), _BESIDE):
        table.add_row(*(str(cell) for item in ordered[start : start + _BESIDE] for cell in item))
    return table


def pair(text: str, form: str, such_as: str) -> tuple[str, str]:
    """Both sides of NAME=VALUE; an argparse type says in its error what `form` it takes, `such_as` which."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}, such as {such_as}")
    return name, value


def _column(text: str) -> tuple[str, str]:
    return pair(text, "FIELD=COLUMN", "instruction=prompt")
