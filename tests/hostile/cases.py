"""Broken and hostile input, each with what its error has to say: status, place, key phrase.

A file `<group>_cases.py` fills a `Table`. A row names a function and what it is given; where files must be
made in a way of their own, a function is decorated:

    TABLE = Table("train")

    TABLE.row("UTF-16 text", "rows.jsonl … UTF-16", run_on, GOOD.encode("utf-16"))

    @TABLE.case("rows.jsonl … neither a file")
    def named_pipe(folder):
        os.mkfifo(folder / "rows.jsonl")
        return ["model_name_or_path=base", "data=rows.jsonl", "output_dir=out"]

The function prepares an empty folder, which is also the working folder of the command, and returns the
command's arguments. The parts of the second text, between `…`, must be there in this order: mostly the
place (file, row, field, key) and a few words of what is wrong. How it is worded is free.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scripts import Ended, call

Make = Callable[..., list[str]]


@dataclass(frozen=True)
class Case:
    """One broken input. `says` holds the parts of the error, in their order, with `…` between them."""

    name: str
    says: str
    make: Callable[[Path], list[str]]
    script: str  # a command, or the module of a script of data preparation
    status: int  # 1, or 2: a mistake in the recipe or on the command line
    slow: bool

    def shows(self, ended: Ended) -> bool:
        """Whether the command ended as it must: one error with all parts, and no traceback."""
        seen = ended.err
        if "preparation" in self.script:  # argparse shows how the script is called, and its name
            seen = re.sub(r"[^\n]*\r", "", seen)  # bars
            seen = re.sub(r"^usage: .*\n[^\n]*(?=error: )", "", seen, count=1, flags=re.DOTALL)
        one_error = re.findall(r"^error: ", seen, re.MULTILINE) == ["error: "] and seen.startswith("error: ")
        parts = [_whole(part.strip()) for part in self.says.split("…")]
        said = re.search(".*".join(parts), seen, re.DOTALL) is not None
        return ended.status == self.status and one_error and said and "Traceback" not in seen


def _whole(part: str) -> str:
    """A pattern for this text where no word or number goes on at its ends."""
    before = r"(?<!\w)" if part[:1].isalnum() else ""
    behind = r"(?!\w)" if part[-1:].isalnum() else ""
    return f"{before}{re.escape(part)}{behind}"


@dataclass
class Table:
    """The cases of one kind of input; `script` and `status` are those of most of them."""

    script: str = "train"
    status: int = 1
    cases: list[Case] = field(default_factory=list)

    def row(
        self,
        name: str,
        says: str,
        make: Make,
        /,
        *given: Any,
        script: str = "",
        status: int = 0,
        slow: bool = False,
        **values: Any,
    ) -> None:
        """Adds a case: `make(folder, *given, **values)` prepares the folder and returns the arguments."""
        assert name not in {case.name for case in self.cases}, f"two cases are named {name}"
        assert says.strip("… "), f"{name} says nothing"

        def made(folder: Path) -> list[str]:
            return make(folder, *given, **values)

        self.cases.append(Case(name, says, made, script or self.script, status or self.status, slow))

    def case(self, says: str, *, script: str = "", status: int = 0) -> Callable[[Make], Make]:
        """Decorates the function of a case of its own; its name is the case's."""

        def add(make: Make) -> Make:
            self.row(make.__name__, says, make, script=script, status=status)
            return make

        return add


def check(case: Case, folder: Path) -> None:
    """Runs the case in `folder`: it ends with its error, and no file anywhere around has changed."""
    inner = folder / "work" / "here"  # what is written to .. is noticed too
    inner.mkdir(parents=True)
    before_in = Path.cwd()
    os.chdir(inner)
    try:
        arguments = case.make(inner)
        before = _snapshot(folder)
        ended = call(case.script, *arguments)
    finally:
        os.chdir(before_in)
    assert case.shows(ended), f"status {ended.status}\n{ended.err}\nin place of {case.status}, {case.says}"
    after = _snapshot(folder)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    assert not changed, f"written or removed: {', '.join(changed)}"


def _snapshot(folder: Path) -> dict[str, str]:
    """Each path under `folder`, and what is there."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return "folder" if path.is_dir() else "special"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
