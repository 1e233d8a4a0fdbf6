"""The folder of a study: where everything lies in it, and whether it belongs to this study."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cctuning.analysis.cells.load_cells import CellFiles
from cctuning.analysis.probing.tasks import Piece, ProbeTask, pieces_of, source_pieces
from cctuning.analysis.study_files import SETTINGS_FILE, SUMMARY_FILE
from cctuning.settings.changes import changed_settings, other_settings, rounding_note
from cctuning.tools.files import write_whole
from cctuning.tools.json_text import from_json, to_json
from cctuning.tools.marks import begin, foreign_file

_KEPT = ("cells", "activations", "questions", "prompting", "work")  # what takes long
_FINDINGS = (SUMMARY_FILE, "report.html", "tables", "figures")  # what is made of it; the summary is the mark
GRID_PIECE, BATCH_PIECE = 1, 64  # questions of a file: with all pairs of layers, and with few cells


class StudyFolderError(ValueError):
    """A folder that holds something else than the study that should go on there."""


class StudyFolder:
    """Paths in the folder of a study. `which` is pilot or unseen."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def pieces(self, which: str, sublayer: str, probe: ProbeTask, *, whole_grid: bool) -> list[Piece]:
        """The pieces of a task under a sub-layer."""
        if whole_grid:
            return pieces_of(self.path / "cells" / which / sublayer, probe, GRID_PIECE)
        # Apart: few cells of a question must not be taken for a grid, nor for its cells a second time.
        return pieces_of(self.path / "cells" / f"{which}_pairs" / sublayer, probe, BATCH_PIECE)

    def source_pieces(self, which: str, probes: Sequence[ProbeTask]) -> list[tuple[str, Piece]]:
        """With their benchmarks' names, the pieces of the source prompts of some tasks, asked as they are."""
        return source_pieces(self._sources(which), probes, BATCH_PIECE)

    def cell_files(
        self, which: str, sublayer: str, probe: ProbeTask, probes: Sequence[ProbeTask], *, whole_grid: bool
    ) -> CellFiles:
        """The files of a task's cells; `probes`: all tasks, which share files of source prompts."""
        sources = self._sources(which) / probe.benchmark / probe.sources_of
        return CellFiles(
            benchmark=probe.benchmark,
            language=probe.language,
            sublayer=sublayer,
            asked_in=probe.asked_in,
            questions=probe.ids,
            cells=[piece.path for piece in self.pieces(which, sublayer, probe, whole_grid=whole_grid)],
            sources=[
                piece.path for _, piece in self.source_pieces(which, probes) if piece.path.parent == sources
            ],
        )

    def _sources(self, which: str) -> Path:
        # The control's questions are those of the pilot.
        return self.path / "cells" / ("pilot" if which == "control" else which) / "source"

    def write_questions(self, which: str, probe: ProbeTask) -> None:
        """Writes the questions of a task, a JSON object a line: both prompts, options and gold answers."""
        path = self.path / "questions" / which / f"{probe.benchmark}_{probe.language}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(to_json(row) + "\n" for row in question_rows(probe)))

    def open(
        self, settings: Mapping[str, Any], *, resume: str, warn: Callable[[str], object] = lambda note: None
    ) -> None:
        """Makes the folder ready for a study under `settings`.

        With resume=never all that an earlier study left goes. `warn` is called with what may move the rest by
        rounding. Raises `StudyFolderError` for the folder of something else, and for a study that was made in
        another way.
        """
        path = self.path / SETTINGS_FILE
        if foreign := foreign_file(self.path, SETTINGS_FILE):
            raise StudyFolderError(
                f"{self.path} holds {foreign}, and no {SETTINGS_FILE} that says a probe wrote it: set "
                "another output_dir"
            )
        if path.exists() and resume != "never":
            self._refuse_others(path, settings, warn)
        if resume == "never" and path.exists():
            self.clear_findings()
            for name in _KEPT:
                if (self.path / name).exists():
                    shutil.rmtree(self.path / name)
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(path, to_json(settings, indent=2) + "\n")

    def begin(self) -> None:
        """Takes away the mark of a finished study: its cells change, or what is made of them does."""
        begin(self.path, SUMMARY_FILE)

    def clear_findings(self) -> None:
        """Takes away what an earlier call, perhaps of other languages or sub-layers, made of its cells."""
        self.begin()
        for name in _FINDINGS:
            if (self.path / name).is_dir():
                shutil.rmtree(self.path / name)
            (self.path / name).unlink(missing_ok=True)

    def _refuse_others(self, path: Path, settings: Mapping[str, Any], warn: Callable[[str], object]) -> None:
        try:
            known = from_json(path.read_text(encoding="utf-8"))
            changed = changed_settings("probe", known, settings)
            note = rounding_note("probe", known, settings)
        except (ValueError, AttributeError, TypeError) as error:
            raise StudyFolderError(
                f"{path} was not written by a probe or is damaged: set another output_dir, or resume=never"
            ) from error
        if changed:
            remedy = "Set another output_dir, or resume=never to ask everything anew"
            raise StudyFolderError(other_settings(f"{self.path} holds a study", changed, remedy))
        if note:
            warn(note)


def question_rows(probe: ProbeTask) -> list[dict[str, Any]]:
    """The questions of a task as their file and the report have them."""
    rows = []
    for question in probe.task.questions:
        assert question.parallel is not None
        item = question.item
        rows.append(
            {
                "id": str(item.id),
                "prompt": question.prompt.text,
                "source_prompt": question.parallel.text,
                "answers": list(item.answers),
                "options": dict(item.options) if item.options else None,
            }
        )
    return rows
