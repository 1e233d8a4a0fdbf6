"""Calls entry scripts as from the command line, in this process: a new one would spend seconds on imports."""

import contextlib
import functools
import io
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from cctuning.__main__ import main
from cctuning.commands.registry import COMMANDS
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

# A run of train.py in a test.
ON_CPU = {"use_cpu": "true", "bf16": "false", "gradient_checkpointing": "false", "total_batch_size": "4"}


class Ended(NamedTuple):
    """How a script ended: its exit status, and what it printed."""

    status: int
    out: str
    err: str


def call(script: ModuleType | str, *arguments: str, typed: str = "") -> Ended:
    """Runs a command, by its name or module, or a script of `cctuning prepare` on these arguments.

    `typed` stands on standard input.
    """
    name = (script if isinstance(script, str) else script.__name__).removeprefix("cctuning.")
    out, err = io.StringIO(), io.StringIO()
    saved, sys.stdin = sys.stdin, io.StringIO(typed)
    status = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(*_called(name, arguments))
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stdin = saved
    return Ended(status, out.getvalue(), err.getvalue())


def succeed(script: ModuleType | str, *arguments: str, typed: str = "") -> Ended:
    """As `call`, of what has to end well."""
    ended = call(script, *arguments, typed=typed)
    assert ended.status == 0, ended.err
    return ended


def _called(name: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command and its arguments: `name` is the command's, or a module's in `cctuning`."""
    room, _, module = name.partition(".")
    if room == "preparation":
        return "prepare", [module.removesuffix(".__main__"), *arguments]
    commands = {f"commands.{command.module}": command.name for command in COMMANDS.values()}
    return commands.get(name, name), list(arguments)


def write_base(folder: Path) -> Path:
    """A base model with its tokenizer, which has no chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _base().items():
        (folder / name).write_bytes(content)
    return folder


@functools.cache
def _base() -> dict[str, bytes]:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    with tempfile.TemporaryDirectory() as folder:
        tiny_llama(len(tokenizer)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def write_rows(path: Path, count: int = 12, extra: str = "") -> Path:
    """`count` good rows as JSON lines, and then `extra`."""
    fields = ("id", "language", "instruction", "instruction_en", "output")
    rows = [{field: getattr(row, field) for field in fields} for row in tiny_rows(count)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines, extra]), encoding="utf-8")
    return path
