"""The page docs/errors.md, made from the cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.hostile.cases import ANY, FOLDER, Group

PATH = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

_TOP = f"""# Errors

What is given to the entry scripts, and what they answer. The tests try every line of these tables: the
script prints this text and no more (those of data_prep behind their usage and bars), ends with status 1 (2
for a recipe or an argument, and in data_prep), and writes nothing.
`{FOLDER}` is a folder; `{ANY}` stands for words of a library. `python -m tests.hostile` writes this page.
"""


def page(groups: Sequence[Group]) -> str:
    """The whole page."""
    count = sum(len(group.cases) for group in groups)
    return "\n".join([_TOP, f"Broken inputs: {count}.", *(_section(group) for group in groups)])


def _section(group: Group) -> str:
    rows = [(case.made_of, _code(case.error)) for case in group.cases]
    return "\n".join(["", f"## {group.title}", "", *_table(("given", "error"), rows), ""])


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in [head, ("---", "---"), *rows]]


def _code(text: str) -> str:
    """Lines of text as a table's cell holds them."""
    lines = [line.strip() for line in text.splitlines()]
    fenced = [f"`` {line} ``" if "`" in line else f"`{line}`" for line in lines if line]
    return "<br>".join(fenced).replace("|", "\\|")
