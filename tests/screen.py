import io

from rich.console import Console, RenderableType


def printed(*renderables: RenderableType, width: int) -> str:
    """What a terminal of that width shows of them, without colours."""
    console = Console(width=width, file=io.StringIO())
    console.print(*renderables)
    return console.file.getvalue()
