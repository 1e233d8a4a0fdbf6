"""Figures written without being rendered, which takes half of the time of a small training run."""

from pathlib import Path
from typing import Any
from unittest import mock

from matplotlib.figure import Figure

RENDERED = Figure.savefig


def figures_as_drafts() -> Any:
    """A `with` block in which a figure is made as ever, and what is written of it cannot be looked at."""
    return mock.patch.object(Figure, "savefig", _write_draft)


def _write_draft(figure: Figure, target: Any, **options: Any) -> None:
    if hasattr(target, "write"):
        target.write(b"a draft")
    else:
        Path(target).write_bytes(b"a draft")
