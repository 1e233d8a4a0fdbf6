from rich.console import Console, RenderableType


def printed(*renderables: RenderableType, width: int) -> str:
    """What a terminal of that width shows of them, without colours."""
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(*renderables)
    return capture.get()
