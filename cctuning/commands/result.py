"""Result of a command."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """Output folder and report of a command.

    Attributes:
        folder: where it wrote; None where nothing was written, as in a dry run.
        report: what it found, as its JSON file holds it: `training_report.json` (train),
            `transform_report.json` (fit), `results.json` (evaluate), `comparison.json` (compare),
            `summary.json` (probe); a study's rows, a chat's answer, the numbers behind figures.
    """

    folder: Path | None = None
    report: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> list[Path]:
        """The files in `folder`, by name; those of folders in it are not listed."""
        return [] if self.folder is None else sorted(path for path in self.folder.iterdir() if path.is_file())
