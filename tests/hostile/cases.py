"""Broken and hostile input, each with the error that a user sees: one list behind tests and docs/errors.md.

A group of cases is a file `<group>_cases.py` that fills a `Group`:

    CASES = Group("Data sets")

    @CASES.case("UTF-16 text", error="rows.jsonl is UTF-16 text: save it as UTF-8")
    def utf_16(folder):
        (folder / "rows.jsonl").write_text(GOOD, encoding="utf-16")
        return ["model_name_or_path=base", "data=rows.jsonl", "output_dir=out"]

The function prepares an empty folder, which is also the working folder of the script, and returns the
script's arguments. `test_<group>.py` hands each case to `check`; `__main__.py` lists the groups of the page.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.scripts import Ended, call

Make = Callable[[Path], list[str]]
ANY = "…"  # in an error: text that is not ours, such as a library's words
FOLDER = "FOLDER"  # in an error: the case's folder


@dataclass(frozen=True)
class Case:
    """One broken input. `error` is the whole of what is shown behind `error: `, with `ANY` and `FOLDER`."""

    name: str
    made_of: str  # what is wrong, for the page
    make: Make
    error: str
    script: str = "train"  # the module of the entry script
    status: int = 1  # 2: a mistake in the recipe or on the command line

    def shows(self, ended: Ended, folder: Path) -> bool:
        """Whether the script ended as it must, with this error and nothing more."""
        parts = [re.escape(part) for part in f"error: {self.error}\n".split(ANY)]
        seen = ended.err.replace(str(folder), FOLDER)
        if "preparation" in self.script:  # argparse shows how the script is called, and its name
            seen = re.sub(r"[^\n]*\r", "", seen)  # bars
            seen = re.sub(r"^usage: .*\n[^\n]*(?=error: )", "", seen, count=1, flags=re.DOTALL)
        return ended.status == self.status and re.fullmatch(".*".join(parts), seen, re.DOTALL) is not None


@dataclass
class Group:
    """The cases of one kind of input, in the order of the page."""

    title: str
    cases: list[Case] = field(default_factory=list)

    def case(
        self, made_of: str, *, error: str, script: str = "train", status: int = 1
    ) -> Callable[[Make], Make]:
        """Decorates the function that makes the input; its name is the case's."""

        def add(make: Make) -> Make:
            name = getattr(make, "__name__", made_of)
            assert name not in {case.name for case in self.cases}, f"two cases are named {name}"
            self.cases.append(Case(name, made_of, make, error, script, status))
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
    assert case.shows(ended, inner), f"status {ended.status}\n{ended.err}\nin place of\nerror: {case.error}"
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
