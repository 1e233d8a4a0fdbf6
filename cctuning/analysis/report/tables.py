"""Tables as the report shows them: cells of text, each with the number that it sorts by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cctuning.reporting.scores import score

NOTHING = "–"  # a cell without a value

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421}


@dataclass(frozen=True)
class TableCell:
    """Text of a cell, and the number that it sorts by; without one it sorts by its text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """One table of the report; `numeric` says of each column whether numbers stand in it."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]

    @property
    def numeric(self) -> list[bool]:
        """Whether a column has a cell that sorts by a number."""
        return [any(row[place].value is not None for row in self.rows) for place in range(len(self.columns))]


def table(title: str, note: str, columns: Iterable[str], rows: Iterable[Sequence[TableCell | str]]) -> Table:
    """A table; a cell may be given as its text."""
    cells = [
        [cell if isinstance(cell, TableCell) else TableCell(printable(cell)) for cell in row] for row in rows
    ]
    return Table(printable(title), printable(note), [printable(name) for name in columns], cells)


def share(
    value: float | None, low: float | None = None, high: float | None = None, *, signed: bool = False
) -> TableCell:
    """A share or a difference of shares in %, with its interval where there is one; None: there is none."""
    return TableCell(score(value, (low, high), signed=signed, nothing=NOTHING), value)


def number(value: float | None, low: float | None = None, high: float | None = None) -> TableCell:
    """The same of any other number, with three figures."""
    if value is None:
        return TableCell(NOTHING)
    text = f"{value:.3g}"
    if low is not None and high is not None:
        text += f" [{low:.3g}, {high:.3g}]"
    return TableCell(text, value)


def count(value: int | None) -> TableCell:
    """A whole number."""
    return TableCell(NOTHING) if value is None else TableCell(str(value), value)


def printable(text: str) -> str:
    """Text that can be written and seen: control characters as pictures, lone surrogates as U+FFFD."""
    return text.translate(_PICTURES).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
