"""Calls entry scripts as from the command line, in this process: a new one would spend seconds on imports."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from cctuning.commands.run import run
from tests.tiny import tiny_llama, tiny_rows, tiny_tokenizer

# A run of train.py in a test.
ON_CPU = {"use_cpu": "true", "bf16": "false", "gradient_checkpointing": "false", "total_batch_size": "4"}


class Ended(NamedTuple):
    """How a script ended: its exit status, and what it printed."""

    status: int
    out: str
    err: str


def call(script: ModuleType, *arguments: str, typed: str = "") -> Ended:
    """Runs `script.main` with these arguments and `typed` on standard input.

    Those of data_prep return their status, the others end by themselves.
    """
    out, err = io.StringIO(), io.StringIO()
    saved, sys.argv, sys.stdin = (sys.argv, sys.stdin), ["script", *arguments], io.StringIO(typed)
    status = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            run(lambda: sys.exit(script.main()))
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.argv, sys.stdin = saved
    return Ended(status, out.getvalue(), err.getvalue())


def write_base(folder: Path) -> Path:
    """A base model with its tokenizer, which has no chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    tiny_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_rows(path: Path, count: int = 12, extra: str = "") -> Path:
    """`count` good rows as JSON lines, and then `extra`."""
    fields = ("id", "language", "instruction", "instruction_en", "output")
    rows = [{field: getattr(row, field) for field in fields} for row in tiny_rows(count)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines, extra]), encoding="utf-8")
    return path
