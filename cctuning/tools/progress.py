"""Bars on the screen for work in pieces."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from cctuning.tools.console import new_console

Piece = TypeVar("Piece")

# How work inside the library tells its caller how far it is.
Advance = Callable[[int], None]  # so many pieces more are done
Update = Callable[[int, int], None]  # so many pieces are done, of how many
UpdateOf = Callable[[str, int, int], None]  # the same, of the work that is named


class ProgressBar:
    """One bar of a display."""

    def __init__(self, display: Progress, description: str, total: int | None) -> None:
        """`total`: of how many pieces the work is; None where that is not known."""
        self._display = display
        self._task: TaskID = display.add_task(description, total=total)

    def advance(self, count: int = 1) -> None:
        """Moves the bar on by so many pieces."""
        self._display.update(self._task, advance=count)

    def update(self, done: int, total: int | None = None, *, description: str | None = None) -> None:
        """Moves the bar to so many pieces, of another total if one is given."""
        self._display.update(self._task, completed=done, total=total, description=description)


class ProgressBars:
    """Bars below each other, each of which appears when its work is first heard of."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._bars: dict[str, ProgressBar] = {}

    def update(self, description: str, done: int, total: int) -> None:
        """Moves the bar of this work to `done` of `total` pieces."""
        if description not in self._bars:
            self._bars[description] = ProgressBar(self._display, description, total)
        self._bars[description].update(done, total)


@contextmanager
def progress_bar(
    description: str,
    total: int | None = None,
    *,
    console: Console | None = None,
    transient: bool = False,
    size: bool = False,
    done: int = 0,
) -> Iterator[ProgressBar]:
    """Shows a bar while the work inside goes on.

    Args:
        description: what stands before the bar.
        total: of how many pieces the work is; None where that is not known.
        console: where it is drawn; by default on standard error.
        transient: whether the bar disappears at the end. Away from a terminal it is then never seen.
        size: whether the pieces are bytes.
        done: how many are done before.
    """
    with _display(console, transient=transient, count=DownloadColumn() if size else None) as display:
        bar = ProgressBar(display, description, total)
        bar.update(done)
        yield bar


@contextmanager
def progress_bars(console: Console) -> Iterator[ProgressBars]:
    """Shows a bar for every kind of work that is heard of inside."""
    with _display(console) as display:
        yield ProgressBars(display)


def tracked(pieces: Iterable[Piece], description: str, *, console: Console | None = None) -> Iterator[Piece]:
    """The pieces, with a bar that shows how many were taken and disappears at the end."""
    with _display(console, transient=True) as display:
        yield from display.track(pieces, description=description)


def _display(
    console: Console | None, *, transient: bool = False, count: ProgressColumn | None = None
) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        count or MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = console or new_console(stderr=True)
    unseen = transient and not console.is_terminal
    return Progress(*columns, console=console, transient=transient, disable=unseen)
