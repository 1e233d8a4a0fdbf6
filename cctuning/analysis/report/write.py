"""Writes `report.html`: every answer of a study in one file that needs no network."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from cctuning.analysis.cells.grid import Grid
from cctuning.analysis.report.blocks import QuestionTexts, block, overview
from cctuning.analysis.report.contents import tables_of
from cctuning.analysis.report.islands import packed, packed_json
from cctuning.analysis.report.page import render
from cctuning.analysis.selectors import Judgement
from cctuning.tools.extras import extra
from cctuning.tools.files import write_whole

REPORT_FILE = "report.html"


def write_report(
    folder: str | Path,
    grids: Iterable[Grid],
    summary: Mapping[str, Any],
    questions: Mapping[tuple[str, str], Sequence[QuestionTexts]],
    judgements: Sequence[Judgement] = (),
    *,
    title: str = "XTransplant",
    notes: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
) -> Path:
    """Writes the report of a study into `folder` and returns its path; a kill leaves the old one or the new.

    `grids`: of any benchmarks, languages and sub-layers, in the order in which they are offered.
    `summary`: what `measures.summary.summarise` made of them. `questions`: by benchmark and language.
    `judgements`: of selectors. `notes`: lines below the title, such as the model's name. `links`: text and
    path, relative to `folder`, of other pages of the study; those that are not there are left out. The same
    content gives the same bytes.

    Raises `ValueError` where there is no grid, where a grid's questions are missing, and for a link that is
    no relative path.
    """
    islands: dict[str, str] = {}
    overviews = []
    for number, grid in enumerate(grids):
        texts = questions.get((grid.benchmark, grid.language), ())
        islands[f"block-{number}"] = packed_json(block(grid, texts))
        pairs = _of_grid(summary, "pairs", grid).get(grid.language)
        overviews.append(overview(grid, pairs, _chance(summary, grid)))
    if not overviews:
        raise ValueError("A report needs at least one grid of answers. Run the sweep first.")
    plotly, packed_plotly = _plotly()
    islands |= {"overview": packed_json(overviews), "plotly": packed_plotly}
    path = Path(folder) / REPORT_FILE
    tables = list(tables_of(summary, judgements))
    write_whole(path, render(title, notes, _addresses(path.parent, links), tables, islands, plotly))
    return path


@cache
def _plotly() -> tuple[str, str]:
    """The text of the library that draws, and the same packed, which takes longer than a small report."""
    with extra("analysis"):
        from plotly.offline import get_plotlyjs
    text = get_plotlyjs()
    return text, packed(text)


def _chance(summary: Mapping[str, Any], grid: Grid) -> float | None:
    """The upper bound by chance of a grid, where the summary has it."""
    estimate = _of_grid(summary, "bounds", grid).get("chance_bound", {}).get(grid.language)
    return None if estimate is None else estimate["value"]


def _of_grid(summary: Mapping[str, Any], measure: str, grid: Grid) -> Mapping[str, Any]:
    content: Mapping[str, Any] = summary.get(measure, {}).get(grid.sublayer, {}).get(grid.benchmark, {})
    return content


def _addresses(folder: Path, links: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The links whose files are there, their paths as addresses that mean the same."""
    for text, path in links:
        if PurePosixPath(path).is_absolute():
            raise ValueError(f"The link {text!r} must be a path relative to the report, not {path}")
    return [(text, quote(path)) for text, path in links if (folder / path).is_file()]
