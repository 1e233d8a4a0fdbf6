"""A bar on the screen for work whose size is known."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[..., None]]:
    """A bar on `console`; yields what is called with advance= or completed= to move it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        yield functools.partial(bars.update, bars.add_task(what, total=total))
