"""The screen: what rows, answers and file names hold is shown, and never obeyed.

A text from outside may hold control characters, which a terminal would take as commands: to move the cursor,
to change its title, to answer as if something had been typed. They are shown as their escapes.
"""

from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

from cctuning.tools.errors import printable


class _Shown:
    """A renderable whose text is printable; Rich's own control codes stay."""

    def __init__(self, renderable: RenderableType) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class _Printable(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(renderable) for renderable in renderables]


class PlainConsole(Console):
    """A console for lines that are as long as they are, which a terminal wraps and a log does not."""

    def say(self, line: str, style: str | None = None) -> None:
        """Prints a line."""
        self.print(line, style=style, soft_wrap=True)

    def warn(self, line: str) -> None:
        """Prints a warning."""
        self.say(f"warning: {line}")


def new_console(**options: Any) -> PlainConsole:
    """A console that takes text as it is: no markup, no highlighting, no control characters."""
    console = PlainConsole(**{"highlight": False, "markup": False, **options})
    console.push_render_hook(_Printable())
    return console
