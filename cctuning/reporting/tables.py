"""A table of records, columns and rows, as CSV, Markdown, HTML and on the screen."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias

from rich.protocol import is_renderable
from rich.table import Table

from cctuning.reporting.documents import in_markdown
from cctuning.tools.errors import printable

Columns: TypeAlias = Mapping[str, str | Callable[[Any], Any]]

# Of a table on the screen that has many columns.
NO_LINES: Mapping[str, Any] = {"title_justify": "left", "box": None, "padding": (0, 1, 0, 0)}
_LABEL, _CELL = 13, 5  # characters: "consistency" or a part of a model's name, "±12.3"


@dataclass(frozen=True)
class RecordTable:
    """Names of columns, and rows of as many cells; None is an empty cell."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, columns: Columns, records: Iterable[Any]) -> RecordTable:
        """A row a record: what a column's function makes of it, or what stands at a column's path.

        A path such as `difference.interval.0` names attributes, keys and places; from the first None on, all
        is None.
        """
        rows = [[_at(record, place) for place in columns.values()] for record in records]
        return cls(list(columns), rows)

    @classmethod
    def crossed(cls, corner: str, cells: Mapping[tuple[str, str], Any]) -> RecordTable:
        """Cells by the names of their row and column, both in the order in which they first occur."""
        rows, columns = (list(dict.fromkeys(names[side] for names in cells)) for side in (0, 1))
        body = [[row, *(cells.get((row, column), "") for column in columns)] for row in rows]
        return cls([corner, *columns], body)

    def csv(self) -> str:
        """The text of a CSV file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def markdown(self) -> str:
        """The first column to the left, the others to the right."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(in_markdown(_text(cell)) for cell in line)} |" for line in lines)

    def html(self) -> str:
        """An HTML table, its texts escaped and each in its own direction."""

        def line(cells: Iterable[Any], tag: str) -> str:
            return "".join(f'<{tag} dir="auto">{escape(printable(_text(cell)))}</{tag}>' for cell in cells)

        rows = "".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows)
        return f"<table><thead><tr>{line(self.columns, 'th')}</tr></thead><tbody>{rows}</tbody></table>"

    def screen(self, *, text: Sequence[int] = (0,), **style: Any) -> Table:
        """As Rich prints it: to the right but for the columns of `text`; an empty row is a line.

        `style`: of Rich's table; cells may be what Rich prints.
        """
        table = Table(**style)
        for place, name in enumerate(self.columns):
            if place in text:
                table.add_column(name, overflow="fold")
            else:
                table.add_column(name, justify="right")
        for row in self.rows:
            if row:
                table.add_row(*(cell if is_renderable(cell) else _text(cell) for cell in row))
            else:
                table.add_section()
        return table


def stacked(tables: Sequence[RecordTable], *, width: int, **style: Any) -> Table:
    """Tables of narrow cells below each other; one with more columns than fit takes several rows."""
    fitting = max(1, (width - _LABEL - 1) // (_CELL + 1))
    shown = Table(box=None, padding=(0, 1, 0, 0), show_header=False, **style)
    shown.add_column(width=_LABEL, overflow="fold")
    for _ in range(min(fitting, max((len(table.columns) - 1 for table in tables), default=0))):
        shown.add_column(justify="right", min_width=_CELL)
    for table in tables:
        for start in range(1, len(table.columns), fitting):
            part = slice(start, start + fitting)
            shown.add_row()
            shown.add_row(table.columns[0] if start == 1 else "", *table.columns[part], style="bold")
            for row in table.rows:
                if any(row[part]):
                    shown.add_row(row[0], *row[part])
    return shown


def leaves(content: Mapping[str, Any], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values below `depth` levels of keys, with their keys: the records in nested dictionaries."""
    for key, inner in content.items():
        for keys, leaf in leaves(inner, depth - 1) if depth > 1 else [((), inner)]:
            yield (key, *keys), leaf


def _at(record: Any, path: str | Callable[[Any], Any]) -> Any:
    if not isinstance(path, str):
        return path(record)
    for part in path.split("."):
        if record is None:
            return None
        if isinstance(record, Mapping):
            record = record[part]
        else:
            record = record[int(part)] if part.isdigit() else getattr(record, part)
    return record


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)
